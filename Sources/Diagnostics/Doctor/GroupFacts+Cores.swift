extension GroupFacts {
  /// What is wrong with how threads lie on cores.
  var coreFindings: [Finding] {
    grouped(\.kernelID).flatMap { _, members in
      bindingFindings(members) + overlapFindings(members) + crowdFindings(members)
    }
  }

  /// Ranks with more threads than the cores they are bound to, those alike in one finding.
  private func bindingFindings(_ members: [RankFacts]) -> [Finding] {
    var alike: [(cores: Int, threads: Int, ranks: [RankFacts])] = []
    for rank in members where rank.isBound && rank.ownCores.count < rank.threads {
      let key = (rank.ownCores.count, rank.threads)
      if let index = alike.firstIndex(where: { ($0.cores, $0.threads) == key }) {
        alike[index].ranks.append(rank)
      } else {
        alike.append((key.0, key.1, [rank]))
      }
    }
    return alike.map { cores, threads, ranks in
      let each = ranks.count > 1 ? "are bound to that many each" : "is bound to that many"
      let problem = "\(threads) threads share \(counted(cores)): \(place(of: ranks)) \(each)"
      guard self.ranks.count > 1 else {
        return Finding(
          .binding, problem,
          fix: "set --threads to \(cores), or give the process more cores (taskset, srun "
            + "--cpus-per-task=\(threads))")
      }
      return Finding(
        .binding, problem + " (Open MPI binds to one core with 2 ranks or fewer)",
        fix: "start with Launch/mpirun, or mpirun --map-by slot:PE=\(threads) --bind-to core, or "
          + "srun --cpus-per-task=\(threads); or set --threads to \(cores)")
    }
  }

  /// Ranks that are bound to enough cores each, but to the same ones.
  private func overlapFindings(_ members: [RankFacts]) -> [Finding] {
    let bound = members.filter { $0.isBound && $0.ownCores.count >= $0.threads }
    return Self.overlapping(bound).compactMap { ranks in
      let cores = Set(ranks.flatMap(\.ownCores)).sorted()
      let threads = ranks.reduce(0) { $0 + $1.threads }
      guard ranks.count > 1, threads > cores.count else { return nil }
      return Finding(
        .overlap,
        "\(place(of: ranks)) are bound to overlapping cores: \(threads) threads on "
          + "\(counted(cores.count)) (\(Self.runs(cores)))",
        fix:
          "give each rank cores of its own: Launch/mpirun, or --map-by slot:PE=\(ranks[0].threads) "
          + "--bind-to core, or srun --cpus-per-task=\(ranks[0].threads) --cpu-bind=cores; one mpirun "
          + "for all ranks of a host")
    }
  }

  /// Ranks in groups: two are in one if a chain of common cores joins them.
  private static func overlapping(_ ranks: [RankFacts]) -> [[RankFacts]] {
    var groups: [(cores: Set<Int>, ranks: [RankFacts])] = []
    for rank in ranks {
      var merged = (cores: Set(rank.ownCores), ranks: [rank])
      for group in groups where !group.cores.isDisjoint(with: merged.cores) {
        merged.cores.formUnion(group.cores)
        merged.ranks += group.ranks
      }
      groups.removeAll { !$0.cores.isDisjoint(with: rank.ownCores) }
      groups.append(merged)
    }
    return groups.map { $0.ranks.sorted { $0.rank < $1.rank } }
      .sorted { $0[0].rank < $1[0].rank }
  }

  /// More threads on a machine than it has cores, or than its control group gives time for.
  private func crowdFindings(_ members: [RankFacts]) -> [Finding] {
    var findings: [Finding] = []
    let free = members.filter { !$0.isBound }
    let usable = Set(free.flatMap(\.usableCores)).count
    if let finding = crowd(free, on: Double(usable), "\(counted(usable))") {
      findings.append(finding)
    }
    if findings.isEmpty, let quota = members.compactMap(\.coreQuota).min() {
      let text = (quota * 10).rounded() / 10
      if let finding = crowd(members, on: quota, "the time of \(text) cores (cgroup cpu.max)") {
        findings.append(finding)
      }
    }
    return findings
  }

  private func crowd(_ members: [RankFacts], on cores: Double, _ what: String) -> Finding? {
    let threads = members.reduce(0) { $0 + $1.threads }
    guard !members.isEmpty, Double(threads) > cores else { return nil }
    let each = members[0].threads
    let alike = members.allSatisfy { $0.threads == each }
    let wanted =
      members.count == 1
      ? "\(threads) threads"
      : alike
        ? "\(members.count) ranks × \(each) threads" : "\(members.count) ranks' \(threads) threads"
    let most = max(1, Int(cores) / members.count)
    let fewer = members.count > 1 ? " or start fewer ranks on \(members[0].hostName)" : ""
    return Finding(
      .cores, "\(wanted) share \(what) of \(members[0].hostName) and slow each other down",
      fix: each > most ? "set --threads to \(most)\(fewer)" : "start fewer ranks on that host")
  }

  private func counted(_ cores: Int) -> String { "\(cores) core\(cores == 1 ? "" : "s")" }
}
