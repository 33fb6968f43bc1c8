internal import CKernels
import Synchronization

/// Looks at what each operation of a tape leaves, and keeps the first number that is not finite.
///
/// Weights are looked at before an operation reads them, outputs when it has run, gradients when it has run
/// backwards. It changes no bit, and costs a pass over all of them.
public final class TapeCheck {
  /// Where a number first left the finite.
  public struct Finding: Sendable, Equatable {
    public enum Place: Sendable, Equatable {
      /// A weight that came in so.
      case weight
      /// What an operation gives.
      case output
      /// The gradient of an operation's input.
      case gradient
      /// The gradient of a parameter.
      case parameterGradient
      /// A sum of the loss.
      case loss
    }
    public var place: Place
    /// For example `linear`, `attention backward`.
    public var operation: String
    /// The part of the model, as ``Tape/within(_:_:)`` was told; empty outside of all.
    public var scope: String
    /// The parameter that is not finite, else the first one that the operation uses; nil where it uses none.
    public var parameter: String?
    public var row: Int
    public var column: Int
    public var value: Float
    /// The key of the work item that the row is of, and the row's place in it; nil where rows are of no item.
    public var item: (key: UInt32, token: UInt32)?

    public static func == (left: Finding, right: Finding) -> Bool {
      left.place == right.place && left.operation == right.operation && left.scope == right.scope
        && left.parameter == right.parameter && left.row == right.row
        && left.column == right.column && left.item?.key == right.item?.key
        && left.item?.token == right.item?.token
    }
  }

  /// The first finding; nothing is looked at after it.
  public private(set) var finding: Finding?
  /// The part of the model whose operations are recorded.
  var scope = ""
  /// The tensors whose gradient the running operation writes to.
  private var written: [Tensor] = []
  /// The entries whose weights have been looked at.
  private var known: Set<Int> = []
  private let lock = Mutex(())

  public init() {}

  /// Looks at the weights of a parameter that is no table. Several threads may ask for it.
  func weights(_ parameter: Parameter, of parameters: ParameterSet) {
    lock.withLock { _ in
      for index in parameter.entries where finding == nil && known.insert(index).inserted {
        let entry = parameters.layout.entries[index]
        if entry.isTable { continue }
        let base = unsafe parameters.address(ofEntry: index)
        unsafe note(.weight, "", scope, entry, at: firstBad(base, entry.count), from: base)
      }
    }
  }

  /// Looks at the rows of a table that an operation reads for each row of a space.
  func tableRows(_ rows: [Int32], of table: Parameter, in space: RowSpace, on tape: Tape) {
    let entry = tape.parameters.layout.entries[table.entries.lowerBound]
    guard finding == nil, entry.isTable else { return }
    for (place, row) in rows.enumerated() {
      let base = unsafe tape.parameters.address(
        ofRow: row, ofTable: table.entries.lowerBound)
      guard let column = unsafe firstBad(base, table.columns) else { continue }
      finding = Finding(
        place: .weight, operation: "embed", scope: scope, parameter: entry.name, row: Int(row),
        column: column, value: unsafe base[column], item: Self.item(of: place, in: space))
      return
    }
  }

  /// Looks at what an operation gives.
  func output(_ tensor: Tensor, of operation: String, reading: [Parameter], on tape: Tape) {
    if finding != nil { return }
    unsafe note(tensor, base: tensor.base, .output, operation, scope, reading, on: tape)
  }

  /// Looks at a term of the loss.
  func loss(_ term: LossTerm) {
    guard finding == nil, let place = term.segmentSums.firstIndex(where: { !$0.isFinite }) else {
      return
    }
    finding = Finding(
      place: .loss, operation: term.name, scope: scope, parameter: nil, row: place, column: 0,
      value: Float(term.segmentSums[place]), item: nil)
  }

  /// The running operation writes to the gradient of this tensor.
  func writes(_ tensor: Tensor) { written.append(tensor) }

  /// Looks at the gradients that an operation has written to.
  func ran(_ operation: String, scope: String, writing parameters: [Parameter], on tape: Tape) {
    let tensors = written
    written = []
    for tensor in tensors where finding == nil {
      guard let base = unsafe tape.arrivedGradient(tensor) else { continue }
      unsafe note(tensor, base: base, .gradient, operation, scope, parameters, on: tape)
    }
    guard let gradients = tape.gradients else { return }
    for index in parameters.flatMap(\.entries) where finding == nil && gradients.trained[index] {
      let entry = gradients.layout.entries[index]
      let base = unsafe UnsafePointer(gradients.storage.base + entry.offset)
      if entry.isTable {
        let columns = entry.shape[1]
        for row in gradients.touchedRows[index].rows.sorted() where finding == nil {
          let start = Int(row) * columns
          let bad = unsafe firstBad(base + start, columns).map { $0 + start }
          unsafe note(.parameterGradient, operation, scope, entry, at: bad, from: base)
        }
      } else if gradients.touched[index] {
        let bad = unsafe firstBad(base, entry.count)
        unsafe note(.parameterGradient, operation, scope, entry, at: bad, from: base)
      }
    }
  }

  private func note(
    _ tensor: Tensor, base: UnsafeMutablePointer<Float>, _ place: Finding.Place,
    _ operation: String, _ scope: String, _ parameters: [Parameter], on tape: Tape
  ) {
    guard let bad = unsafe firstBad(base, tensor.count) else { return }
    let row = bad / tensor.columns
    finding = Finding(
      place: place, operation: operation, scope: scope,
      parameter: parameters.first.map {
        tape.parameters.layout.entries[$0.entries.lowerBound].name
      }, row: row, column: bad % tensor.columns, value: unsafe base[bad],
      item: Self.item(of: row, in: tensor.space))
  }

  private func note(
    _ place: Finding.Place, _ operation: String, _ scope: String, _ entry: ParameterLayout.Entry,
    at element: Int?, from base: UnsafePointer<Float>
  ) {
    guard let element else { return }
    let columns = entry.shape[entry.shape.count - 1]
    finding = Finding(
      place: place, operation: operation, scope: scope, parameter: entry.name,
      row: element / columns, column: element % columns, value: unsafe base[element], item: nil)
  }

  private static func item(of row: Int, in space: RowSpace) -> (UInt32, UInt32)? {
    space.places.isEmpty ? nil : (space.places[row].item, space.places[row].token)
  }

  /// The first of some numbers that is not finite.
  private func firstBad(_ base: UnsafePointer<Float>, _ count: Int) -> Int? {
    let block = 4096
    for start in stride(from: 0, to: count, by: block) {
      let end = min(start + block, count)
      // x − x is 0, or NaN where x is not finite.
      var sum: Float = 0
      for index in start..<end { unsafe sum += base[index] - base[index] }
      if sum == 0 { continue }
      return (start..<end).first { unsafe !base[$0].isFinite }
    }
    return nil
  }
}

extension Tape {
  /// Runs the operations of a part of the model, which what a ``check`` finds in them is told with.
  public func within<Result>(_ name: @autoclosure () -> String, _ body: () -> Result) -> Result {
    guard let check else { return body() }
    let outer = check.scope
    check.scope = outer.isEmpty ? name() : "\(outer).\(name())"
    defer { check.scope = outer }
    return body()
  }

  /// Lets a check, if there is one, look at what an operation gives. In the forward part, when the output is filled.
  package func inspect(_ output: Tensor, of operation: String, reading parameters: [Parameter] = [])
  {
    check?.output(output, of: operation, reading: parameters, on: self)
  }
}
