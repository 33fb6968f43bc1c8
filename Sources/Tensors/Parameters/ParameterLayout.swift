/// A view of a parameter: a matrix, or a vector as a matrix of one row, in the flat buffer of a
/// ``ParameterSet``, if it does not lie elsewhere, and, at the same place, of its gradient.
public struct Parameter: Sendable, Equatable {
  /// Where its first float lies in the flat buffer.
  public let offset: Int
  public let rows: Int
  public let columns: Int
  /// The entries of the layout that it covers: one, or several that lie one after the other.
  public let entries: Range<Int>

  public var count: Int { rows * columns }
}

/// A part of a model. Freezing, learning rates and the loading of checkpoints choose parameters by it.
///
/// A task may name groups of its own.
public struct ParameterGroup: Sendable, Hashable {
  public let name: String

  public init(_ name: String) { self.name = name }

  /// Parameters that turn tokens into hidden states.
  public static let encoder = ParameterGroup("encoder")
  /// Parameters that turn hidden states into the scores of a task.
  public static let head = ParameterGroup("head")
  /// Small layers inside an encoder that is otherwise frozen (Houlsby et al., 2019).
  public static let adapter = ParameterGroup("adapter")
  /// Parameters that join the hidden states of several tokens, layers or models.
  public static let aggregator = ParameterGroup("aggregator")
}

/// The value of a parameter before any training.
public enum FirstValue: Sendable, Equatable {
  /// All elements equal.
  case constant(Float)
  /// 1 at some elements, 0 at the others.
  case ones(at: Range<Int>)
  /// Draws from the normal distribution of mean 0.
  ///
  /// - Parameter zeroRow: A row of zeros, such as that of the padding id; nil for none.
  case normal(deviation: Float, zeroRow: Int? = nil)
  /// Draws even in `-bound ..< bound`.
  case uniform(bound: Float)

  public static let zeros = FirstValue.constant(0)
  public static let ones = FirstValue.constant(1)
}

/// The parameters of a model: their names and shapes, where each lies in one flat buffer, and the depth, group and first
/// value of each.
///
/// Entries lie without gaps in the order in which they were added, so that views over neighbours (query,
/// key and value as one matrix) exist.
public struct ParameterLayout: Sendable, Equatable {
  public struct Entry: Sendable, Equatable {
    public let name: String
    /// One or two dimensions, as PyTorch has them: a linear layer's weight is `[out, in]`.
    public let shape: [Int]
    public let offset: Int
    /// Whether it is a table of which a step uses few rows: see ``addTable(_:_:_:first:)``.
    public let isTable: Bool
    /// How far the entry lies above the inputs: 0 for embeddings, 1 … for the blocks above them, more for what stands on
    /// the blocks.
    public let depth: Int
    /// The part of the model that the entry belongs to.
    public let group: ParameterGroup
    /// The value before any training.
    public let first: FirstValue
    /// The entries that views cover together with this one, itself included: all of them lie side by side.
    package fileprivate(set) var neighbours: Range<Int>
    public var count: Int { shape.reduce(1, *) }

    /// Whether a view covers the entry and its neighbours: it must lie beside them.
    public var isJoined: Bool { neighbours.count > 1 }
  }

  public private(set) var entries: [Entry] = []
  public private(set) var count = 0
  /// The depth and the group of the entries that are added next: see ``at(depth:group:_:)``.
  private var place = (depth: 0, group: ParameterGroup.head)

  public init() {}

  public static func == (left: ParameterLayout, right: ParameterLayout) -> Bool {
    left.entries == right.entries
  }

  /// Adds the parameters that `body` adds at a depth and to a group; those that are added outside of any such call have
  /// depth 0 and the group ``ParameterGroup/head``.
  public mutating func at<Result>(
    depth: Int, group: ParameterGroup, _ body: (inout ParameterLayout) -> Result
  ) -> Result {
    precondition(depth >= 0, "a depth of \(depth)")
    let outer = place
    place = (depth, group)
    defer { place = outer }
    return body(&self)
  }

  /// The depth of the deepest entry of a group; 0 if the group has none. For ``ParameterGroup/encoder`` it is the number of
  /// blocks.
  public func depth(ofGroup group: ParameterGroup) -> Int {
    entries.reduce(0) { $1.group == group ? max($0, $1.depth) : $0 }
  }

  /// Adds a parameter of one or two dimensions.
  ///
  /// - Parameter first: Its value before any training: see ``ParameterSet/fillFirst(entry:rows:seed:in:)``.
  public mutating func add(
    _ name: String, _ shape: Int..., first: FirstValue = .zeros
  ) -> Parameter {
    add(name, shape, isTable: false, first: first)
  }

  /// Adds a table `[rows, columns]` of which a step uses few rows.
  ///
  /// Its gradient, norm, moments and update exist for rows in use alone. Tables come before all other
  /// parameters.
  public mutating func addTable(
    _ name: String, _ rows: Int, _ columns: Int, first: FirstValue = .zeros
  ) -> Parameter {
    precondition(entries.allSatisfy(\.isTable), "the table \(name) after other parameters")
    return add(name, [rows, columns], isTable: true, first: first)
  }

  /// The indices of the tables among the entries: the first ones.
  public var tables: Range<Int> { 0..<(entries.firstIndex { !$0.isTable } ?? entries.count) }

  /// Where all that is no table lies in the flat buffer.
  public var denseRange: Range<Int> {
    let tables = tables
    return
      (tables.isEmpty ? 0 : entries[tables.count - 1].offset + entries[tables.count - 1].count)..<count
  }

  private mutating func add(
    _ name: String, _ shape: [Int], isTable: Bool, first: FirstValue
  ) -> Parameter {
    precondition(shape.count == 1 || shape.count == 2, "\(name) has \(shape.count) dimensions")
    precondition(shape.allSatisfy { $0 > 0 }, "\(name) has shape \(shape)")
    precondition(!entries.contains { $0.name == name }, "\(name) is there already")
    if case .normal(_, let zeroRow?) = first {
      precondition(shape.count == 2 && 0..<shape[0] ~= zeroRow, "row \(zeroRow) of \(shape)")
    }
    let entry = Entry(
      name: name, shape: shape, offset: count, isTable: isTable, depth: place.depth,
      group: place.group, first: first, neighbours: entries.count..<entries.count + 1)
    entries.append(entry)
    count += entry.count
    return Parameter(
      offset: entry.offset, rows: shape.count == 2 ? shape[0] : 1, columns: shape[shape.count - 1],
      entries: entries.count - 1..<entries.count)
  }

  /// One matrix over several parameters of equal column counts that were added one after the other.
  public mutating func joined(_ parts: [Parameter]) -> Parameter {
    guard let first = parts.first, let last = parts.last else { preconditionFailure("no parts") }
    var end = first.offset
    for part in parts {
      precondition(part.offset == end && part.columns == first.columns, "parts are not neighbours")
      end += part.count
    }
    return Parameter(
      offset: first.offset, rows: (end - first.offset) / first.columns, columns: first.columns,
      entries: join(first, last))
  }

  /// The vectors of several neighbours as one vector.
  public mutating func joinedVectors(_ parts: [Parameter]) -> Parameter {
    guard let first = parts.first, let last = parts.last else { preconditionFailure("no parts") }
    let count = parts.reduce(0) { $0 + $1.count }
    precondition(last.offset + last.count == first.offset + count, "parts are not neighbours")
    return Parameter(offset: first.offset, rows: 1, columns: count, entries: join(first, last))
  }

  private mutating func join(_ first: Parameter, _ last: Parameter) -> Range<Int> {
    let covered = first.entries.lowerBound..<last.entries.upperBound
    let (bottom, top) = (entries[covered.lowerBound], entries[covered.upperBound - 1])
    let together = bottom.neighbours.lowerBound..<top.neighbours.upperBound
    for entry in together { entries[entry].neighbours = together }
    return covered
  }

  /// The index of the entry called `name`, if there is one.
  public func index(of name: String) -> Int? { entries.firstIndex { $0.name == name } }
}
