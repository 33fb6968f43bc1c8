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

/// What the parameters of a model are called, their shapes, and where each lies in one flat buffer.
///
/// Entries lie without gaps in the order in which they were added, so that views over neighbours (query,
/// key and value as one matrix) exist.
public struct ParameterLayout: Sendable, Equatable {
  public struct Entry: Sendable, Equatable {
    public let name: String
    /// One or two dimensions, as PyTorch has them: a linear layer's weight is `[out, in]`.
    public let shape: [Int]
    public let offset: Int
    /// Whether it is a table of which a step uses few rows: see ``addTable(_:_:_:)``.
    public let isTable: Bool
    /// Whether a view covers it and its neighbours: it must lie beside them.
    public fileprivate(set) var isJoined = false
    public var count: Int { shape.reduce(1, *) }
  }

  public private(set) var entries: [Entry] = []
  public private(set) var count = 0

  public init() {}

  /// Adds a parameter of one or two dimensions.
  public mutating func add(_ name: String, _ shape: Int...) -> Parameter {
    add(name, shape, isTable: false)
  }

  /// Adds a table `[rows, columns]` of which a step uses few rows.
  ///
  /// Its gradient, norm, moments and update exist for rows in use alone. Tables come before all other
  /// parameters.
  public mutating func addTable(_ name: String, _ rows: Int, _ columns: Int) -> Parameter {
    precondition(entries.allSatisfy(\.isTable), "the table \(name) after other parameters")
    return add(name, [rows, columns], isTable: true)
  }

  /// The indices of the tables among the entries: the first ones.
  public var tables: Range<Int> { 0..<(entries.firstIndex { !$0.isTable } ?? entries.count) }

  /// Where all that is no table lies in the flat buffer.
  public var denseRange: Range<Int> {
    let tables = tables
    return
      (tables.isEmpty ? 0 : entries[tables.count - 1].offset + entries[tables.count - 1].count)..<count
  }

  private mutating func add(_ name: String, _ shape: [Int], isTable: Bool) -> Parameter {
    precondition(shape.count == 1 || shape.count == 2, "\(name) has \(shape.count) dimensions")
    precondition(shape.allSatisfy { $0 > 0 }, "\(name) has shape \(shape)")
    precondition(!entries.contains { $0.name == name }, "\(name) is there already")
    let entry = Entry(name: name, shape: shape, offset: count, isTable: isTable)
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
    for entry in covered { entries[entry].isJoined = true }
    return covered
  }

  /// The index of the entry called `name`, if there is one.
  public func index(of name: String) -> Int? { entries.firstIndex { $0.name == name } }
}
