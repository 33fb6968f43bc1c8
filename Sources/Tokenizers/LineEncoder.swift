/// Encodes lines one after the other; for one thread.
///
/// What it gives is what the tokenizer's ``Tokenizer/encode(_:)`` gives; it may keep what it has found.
package protocol LineEncoder {
  /// Appends the ids of a line, valid UTF-8.
  mutating func encode(_ line: ArraySlice<UInt8>, into ids: inout [Int32])
}

/// Asks the tokenizer for every line.
struct PlainLineEncoder: LineEncoder {
  let tokenizer: any Tokenizer

  func encode(_ line: ArraySlice<UInt8>, into ids: inout [Int32]) {
    ids += tokenizer.encode(String(decoding: line, as: UTF8.self))
  }
}

extension Tokenizer {
  /// What encodes lines for one thread, as fast as is known for this tokenizer.
  package func lineEncoder() -> any LineEncoder {
    switch self {
    case let tokenizer as SentencePieceTokenizer:
      tokenizer.fastLineEncoder() ?? PlainLineEncoder(tokenizer: self)
    case let tokenizer as PipelineTokenizer:
      PipelineLineEncoder(tokenizer) ?? PlainLineEncoder(tokenizer: self)
    default: PlainLineEncoder(tokenizer: self)
    }
  }
}
