/// One thing that is wrong with a machine, a launch or a config, and what to do about it.
public struct Finding: Sendable, Equatable, Codable, CustomStringConvertible {
  public enum Kind: String, Sendable, Codable, CaseIterable {
    /// Ranks that did not find each other.
    case launch
    /// A rank bound to fewer cores than it has threads.
    case binding
    /// Ranks bound to the same cores.
    case overlap
    /// More threads on a machine than cores.
    case cores
    case program, config, data, numerics
    case network
    /// The output directory cannot be written, or is not the same for all ranks.
    case output
    case space, memory
    case sharedMemory = "shared-memory"
    case limits
  }
  public var kind: Kind
  /// What is wrong, with the ranks and figures.
  public var problem: String
  /// What to set or do.
  public var fix: String

  public init(_ kind: Kind, _ problem: String, fix: String) {
    self.kind = kind
    self.problem = problem
    self.fix = fix
  }

  public var description: String { "\(kind.rawValue): \(problem); \(fix)" }
}

/// Everything that ``findings`` are drawn from: what each rank saw, and what they found out together.
public struct GroupFacts: Sendable {
  public var launch: LaunchFacts
  /// By rank; at least one.
  public var ranks: [RankFacts]
  /// From rank 0 to the first rank of each other host.
  public var links: [LinkFacts]
  /// Nil without a config.
  public var output: OutputFacts?
  /// Nil without a config, or if it cannot be run at all.
  public var plan: PlanFacts?
  /// Why there is no plan, although there is a config.
  public var planError: String?

  public init(launch: LaunchFacts, ranks: [RankFacts]) {
    precondition(!ranks.isEmpty, "facts of no rank")
    self.launch = launch
    self.ranks = ranks
    links = []
  }

  /// What is wrong, the worst first: launch, cores, differences, network, output directory, memory, limits.
  public var findings: [Finding] {
    launch.findings + coreFindings + differenceFindings + configFindings
      + LinkFacts.findings(links) + outputFindings + memoryFindings + limitFindings
  }

  /// The ranks grouped by what `key` gives for them, in the order of their first ranks.
  func grouped<Key: Equatable>(_ key: (RankFacts) -> Key) -> [(key: Key, ranks: [RankFacts])] {
    var groups: [(key: Key, ranks: [RankFacts])] = []
    for rank in ranks {
      let own = key(rank)
      if let index = groups.firstIndex(where: { $0.key == own }) {
        groups[index].ranks.append(rank)
      } else {
        groups.append((own, [rank]))
      }
    }
    return groups
  }

  /// `rank 1 on node07`, `ranks 0–3 on node01`, or the ranks alone if they are on several hosts.
  func place(of members: [RankFacts]) -> String {
    let names = members.map(\.hostName)
    let numbers = members.map(\.rank)
    let text = numbers.count == 1 ? "rank" : "ranks"
    let host = names.allSatisfy { $0 == names[0] } ? " on \(names[0])" : ""
    return "\(text) \(Self.runs(numbers))\(host)"
  }

  /// `0–3, 5` of ascending numbers.
  static func runs(_ numbers: [Int]) -> String {
    var parts: [ClosedRange<Int>] = []
    for number in numbers {
      if let last = parts.last, last.upperBound + 1 == number {
        parts[parts.count - 1] = last.lowerBound...number
      } else {
        parts.append(number...number)
      }
    }
    return parts.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)–\($0.upperBound)" }
      .joined(separator: ", ")
  }
}
