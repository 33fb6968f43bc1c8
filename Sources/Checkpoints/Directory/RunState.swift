public import Files
import Foundation

/// The state of a run as a JSON file, `trainer_state.json`.
///
/// Numbers read back as the same bits: doubles are written with the shortest digits that do so.
public enum RunState {
  private static let byteLimit = 64 << 20

  /// Writes `state` to a file, over an older one if there is one: keys in order, whole or not at all.
  ///
  /// - Throws: ``FileError``: `io`, or `data` when a number is not finite.
  public static func write<State: Encodable>(
    _ state: State, to path: String
  ) throws(FileError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let data: Data
    do {
      data = try encoder.encode(state)
    } catch let EncodingError.invalidValue(value, context) {
      throw FileError(
        .data, path, field: keyPath(context.codingPath), "the value \(value) cannot be written")
    } catch {
      throw FileError(.data, path, "cannot be written: \(error)")
    }
    try WholeFile.replace(Array(data) + [0x0A], at: path)
  }

  /// Reads what ``write(_:to:)`` wrote.
  ///
  /// - Throws: ``FileError``: `missing`, `io`, or `data` with the key that is wrong.
  public static func read<State: Decodable>(
    _ type: State.Type = State.self, from path: String
  ) throws(FileError) -> State {
    let bytes = try WholeFile.read(path, limit: byteLimit)
    // The strict reader first: it bounds the nesting and refuses a name that appears twice.
    _ = try JSONValue(parsing: bytes, path: path)
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch let error as DecodingError {
      let (field, message) = explain(error)
      throw FileError(.data, path, field: field, message)
    } catch {
      throw FileError(.data, path, "cannot be read: \(error)")
    }
  }

  private static func explain(_ error: DecodingError) -> (field: String?, message: String) {
    switch error {
    case .keyNotFound(let key, let context):
      (keyPath(context.codingPath + [key]), "is missing")
    case .typeMismatch(let type, let context):
      (keyPath(context.codingPath), "is not a value of type \(type)")
    case .valueNotFound(_, let context): (keyPath(context.codingPath), "is null or absent")
    case .dataCorrupted(let context): (keyPath(context.codingPath), context.debugDescription)
    @unknown default: (nil, "cannot be read")
    }
  }

  private static func keyPath(_ path: [any CodingKey]) -> String? {
    path.isEmpty ? nil : path.map(\.stringValue).joined(separator: ".")
  }
}
