public import Collectives
import Determinism

/// Sees to it that all ranks of a job run the same thing.
public enum RankAgreement {
  /// Compares what each rank has of something that all must have alike.
  ///
  /// - Parameters:
  ///   - what: `config`, for example.
  ///   - value: This rank's, of one line or several.
  ///   - fix: What to do if they differ.
  /// - Throws: ``RunError`` on every rank if they differ, naming the ranks that differ from most and the first line
  ///   in which they do.
  public static func check(
    _ what: String, _ value: String, code: RunError.Code = .configuration, fix: String,
    over communicator: any Communicator
  ) throws {
    if communicator.size == 1 { return }
    var hash = FNV1a()
    for byte in value.utf8 { hash.add(byte: byte) }
    let hashes = try communicator.allGather([Int64(bitPattern: hash.value)]).map { $0[0] }
    if Set(hashes).count == 1 { return }
    let values = try communicator.allGather(Array(value.utf8)).map {
      String(decoding: $0, as: UTF8.self)
    }
    let hosts = communicator.activity.hosts
    let groups = groups(values.map { difference(of: $0, among: values) })
    let parts = groups.map { text, ranks in
      "\(named(ranks, hosts)) \(ranks.count == 1 ? "has" : "have") \(text)"
    }
    throw RunError(code, "ranks differ in \(what): \(parts.joined(separator: ", ")); \(fix)")
  }

  /// The first line of a text that not all texts have, or what it lacks of theirs.
  private static func difference(of text: String, among texts: [String]) -> String {
    let lines = texts.map { Set($0.split(separator: "\n")) }
    let own = text.split(separator: "\n")
    if let line = own.first(where: { line in !lines.allSatisfy { $0.contains(line) } }) {
      return "'\(line.trimmingPrefix { $0 == " " })'"
    }
    return "nothing of the kind"
  }

  /// Ranks by what they have, those who differ from most first.
  static func groups<Value: Equatable>(_ values: [Value]) -> [(value: Value, ranks: [Int])] {
    var groups: [(value: Value, ranks: [Int])] = []
    for (rank, value) in values.enumerated() {
      if let index = groups.firstIndex(where: { $0.value == value }) {
        groups[index].ranks.append(rank)
      } else {
        groups.append((value, [rank]))
      }
    }
    return groups.sorted { ($0.ranks.count, $0.ranks[0]) < ($1.ranks.count, $1.ranks[0]) }
  }

  /// `rank 1 on node07`, or `ranks 0, 2 and 3`.
  static func named(_ ranks: [Int], _ hosts: [String]) -> String {
    if ranks.count == 1 { return "rank \(ranks[0]) on \(hosts[ranks[0]])" }
    let shown = ranks.prefix(8).map(String.init)
    if ranks.count > 8 {
      return "ranks \(shown.joined(separator: ", ")) and \(ranks.count - 8) more"
    }
    return "ranks \(shown.dropLast().joined(separator: ", ")) and \(shown[shown.count - 1])"
  }
}
