/// What is wrong in a JSON text, and in which member when that is known.
package struct JSONError: Error {
  /// The member or element, `model.vocab[3]`; nil for the whole text.
  package var field: String?
  package var message: String
  /// The byte at which the text is wrong; nil when a value is wrong that was read whole.
  package private(set) var offset: Int?

  package init(field: String? = nil, message: String) {
    self.field = field
    self.message = message
  }

  init(message: String, offset: Int) {
    self.message = message
    self.offset = offset
  }

  /// The same error, seen from the object or list around.
  func within(_ place: String) -> JSONError {
    var outer = self
    let inner = field.map { $0.hasPrefix("[") ? $0 : "." + $0 } ?? ""
    // What is cut off a long path is its beginning.
    outer.field = inner.utf8.count > 100 ? "…" + inner.suffix(99) : place + inner
    return outer
  }

  /// The error of the file at `path`; `field` is named if the error has none.
  package func inFile(_ path: String, field other: String? = nil) -> FileError {
    let place = offset.map { ", at byte \($0) of the JSON text" } ?? ""
    return FileError(.data, path, field: field ?? other, message + place)
  }
}
