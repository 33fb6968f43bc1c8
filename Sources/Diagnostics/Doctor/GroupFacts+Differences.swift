extension GroupFacts {
  /// Ranks that differ from most in program, config, data or numerics.
  var differenceFindings: [Finding] {
    programFindings + configDifferences + dataDifferences + numericsFindings
  }

  /// The groups of ranks that do not agree with the largest, and what the largest has. Of two that are as large,
  /// the one with the lowest rank counts.
  private func odd<Key: Equatable>(
    of members: [RankFacts]? = nil, _ key: (RankFacts) -> Key
  ) -> (most: Key, others: [(key: Key, ranks: [RankFacts])])? {
    var groups = GroupFacts(launch: launch, ranks: members ?? ranks).grouped(key)
    guard groups.count > 1 else { return nil }
    let largest = groups.map(\.ranks.count).max() ?? 0
    guard let index = groups.firstIndex(where: { $0.ranks.count == largest }) else { return nil }
    let most = groups.remove(at: index).key
    return (most, groups)
  }

  private func verb(_ ranks: [RankFacts]) -> String { ranks.count == 1 ? "has" : "have" }

  private var programFindings: [Finding] {
    guard let (most, others) = odd({ "\($0.programVersion) (\($0.programHash.prefix(12)))" }) else {
      return []
    }
    return others.map { own, ranks in
      Finding(
        .program, "\(place(of: ranks)) \(verb(ranks)) program \(own), most have \(most)",
        fix: "install the same build on every host")
    }
  }

  private var numericsFindings: [Finding] {
    guard let (most, others) = odd(\.numerics) else { return [] }
    return others.map { own, ranks in
      Finding(
        .numerics, "\(place(of: ranks)) \(verb(ranks)) numerics \(own), most have \(most)",
        fix: "set ISOGLOSS_KERNELS on all ranks to a table that all hosts have\(commonTable), and "
          + "install the same OpenBLAS and C library")
    }
  }

  /// The best table that every rank can run.
  private var commonTable: String {
    let tables = ranks[0].kernelTables.filter { table in
      ranks.allSatisfy { $0.kernelTables.contains(table) }
    }
    return tables.first.map { ", such as \($0)" } ?? ""
  }

  private var configDifferences: [Finding] {
    let readers = ranks.filter { $0.config != nil }
    guard let first = readers.first, let (most, others) = odd(of: readers, \.config) else {
      return []
    }
    return others.map { own, ranks in
      let (mine, theirs) = (own ?? [], most ?? first.config ?? [])
      let line = mine.indices.first { $0 >= theirs.count || theirs[$0] != mine[$0] }
      let here = line.map { mine[$0] } ?? "the end"
      let there = line.map { $0 < theirs.count ? theirs[$0] : "the end" } ?? theirs[mine.count]
      return Finding(
        .config,
        "\(place(of: ranks)) \(verb(ranks)) another config: \(Self.quoted(here)) where most have "
          + Self.quoted(there),
        fix: "give all ranks the same file and the same overrides")
    }
  }

  private static func quoted(_ line: String) -> String {
    let trimmed = line.drop { $0 == " " }
    return "'\(trimmed.count > 100 ? trimmed.prefix(100) + "…" : trimmed)'"
  }

  private var dataDifferences: [Finding] {
    var paths: [String] = []
    for rank in ranks {
      for file in rank.data where !paths.contains(file.path) { paths.append(file.path) }
    }
    var findings: [Finding] = []
    for path in paths {
      // Ranks with another config do not name the file: that is said already.
      let members = ranks.filter { $0.data.contains { $0.path == path } }
      let groups = GroupFacts(launch: launch, ranks: members.isEmpty ? ranks : members)
      func file(_ rank: RankFacts) -> RankFacts.DataFile? {
        rank.data.first { $0.path == path }
      }
      guard let (most, others) = groups.odd(file) else { continue }
      findings += others.map { own, ranks in
        Finding(
          .data,
          "\(place(of: ranks)) \(verb(ranks)) \(path) with \(Self.text(own)), most have it with "
            + Self.text(most),
          fix: "copy the same file to every host, or name one on a file system that all hosts share"
        )
      }
    }
    // A folder that differs may differ in every file.
    guard findings.count > 4 else { return findings }
    findings[3].problem += ", and so \(findings.count - 4) more differences"
    return Array(findings.prefix(4))
  }

  private static func text(_ file: RankFacts.DataFile?) -> String {
    guard let file, let count = file.byteCount else { return "nothing that can be read" }
    return "\(count) bytes (\(file.sha256.prefix(12)))"
  }

  /// A config that cannot be read, or that nothing can be run by.
  var configFindings: [Finding] {
    var findings = grouped(\.configError).compactMap { error, members -> Finding? in
      guard let error else { return nil }
      let who = members.count == ranks.count ? "" : "\(place(of: members)): "
      return Finding(
        .config, who + error,
        fix: who.isEmpty
          ? "correct the config (isogloss train --help-config lists its keys)"
          : "put config and data where all hosts see them by the same path")
    }
    if let planError {
      findings.append(
        Finding(
          .data, planError,
          fix: "isogloss train would end with this; correct the config or the file"))
    }
    return findings
  }
}
