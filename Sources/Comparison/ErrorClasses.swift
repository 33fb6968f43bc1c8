public import Corpus

/// The errors of a system on a language by class: `O`, which is no entity, and each type (Mueller, Andrews and Dredze, ACL
/// 2020, figure 1).
///
/// Entities are those of seqeval's default mode. Numbers are means over seeds.
public struct ErrorClasses: Sendable, Equatable {
  public struct Row: Sendable, Equatable {
    public var name: String
    /// Gold entities of the type that are not predicted as they are; for `O`, predicted entities that overlap no gold one.
    public var recall: Double
    /// Predicted entities of the type that are none; for `O`, gold entities that overlap no predicted one.
    public var precision: Double

    public init(name: String, recall: Double, precision: Double) {
      self.name = name
      self.recall = recall
      self.precision = precision
    }
  }

  /// `O`, then the types in their order.
  public var rows: [Row]

  /// The errors of some predictions of one language.
  public init(_ counts: [SentenceCounts]) {
    var outside = Row(name: "O", recall: 0, precision: 0)
    var types: [Row] = []
    for counts in counts {
      outside.recall += Double(counts.total(.spurious))
      outside.precision += Double(counts.total(.missed))
      for (type, name) in counts.types.enumerated() {
        let correct = counts.total(.correct, type: type)
        types.append(
          Row(
            name: name, recall: Double(counts.total(.gold, type: type) - correct),
            precision: Double(counts.total(.predicted, type: type) - correct)))
      }
    }
    let runs = Double(max(1, counts.count))
    rows = Self.summed([outside] + types.sorted { $0.name < $1.name }).map {
      Row(name: $0.name, recall: $0.recall / runs, precision: $0.precision / runs)
    }
  }

  private init(rows: [Row]) { self.rows = rows }

  /// The sums over some languages.
  public static func sum(_ parts: [ErrorClasses]) -> ErrorClasses {
    let rows = parts.flatMap(\.rows)
    return ErrorClasses(
      rows: summed(
        rows.filter { $0.name == "O" }
          + rows.filter { $0.name != "O" }.sorted { $0.name < $1.name }))
  }

  /// The errors less those of another system.
  public static func - (left: ErrorClasses, right: ErrorClasses) -> ErrorClasses {
    sum([
      left,
      ErrorClasses(
        rows: right.rows.map {
          Row(name: $0.name, recall: -$0.recall, precision: -$0.precision)
        }),
    ])
  }

  /// Neighbours of one name as one row.
  private static func summed(_ rows: [Row]) -> [Row] {
    var sums: [Row] = []
    for row in rows {
      if let last = sums.last, last.name == row.name {
        sums[sums.count - 1].recall += row.recall
        sums[sums.count - 1].precision += row.precision
      } else {
        sums.append(row)
      }
    }
    return sums
  }
}
