import Corpus
import Files

/// An entity as bytes of a text or of a window.
package struct ByteSpan: Sendable, Hashable {
  /// The first byte, counted from the beginning of the text or the window.
  package var start: Int
  package var length: Int
  /// An index into ``SpanVocabulary/types``.
  package var type: Int

  package init(start: Int, length: Int, type: Int) {
    self.start = start
    self.length = length
    self.type = type
  }

  var end: Int { start + length }
}

/// What the decoder can say: the types, STOP, GO, the lengths 1 … window and the starts 0 … window − 1, with ids in this
/// order.
///
/// A window's spans are said in descending order of their starts, each as start, length and type, and then STOP.
package struct SpanVocabulary: Sendable, Equatable {
  /// Sorted by their bytes.
  package let types: [String]
  /// Bytes of a window.
  package let window: Int

  /// - Precondition: No type occurs twice.
  package init(types: [String], window: Int) {
    self.types = types
    self.window = window
  }

  /// The vocabulary of the types that occur in labels of IOB2.
  ///
  /// - Throws: ``RunError`` for a label of another scheme.
  init(labels: [String], window: Int) throws(RunError) {
    var types: Set<String> = []
    for label in labels where label != "O" {
      guard let (_, type) = Self.parts(of: label) else {
        throw RunError(
          .data,
          "label '\(printable(label, limit: 64))' is not of IOB2: a label is O, or B- or I- and a type"
        )
      }
      types.insert(type)
    }
    self.init(
      types: types.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }, window: window)
  }

  /// Whether a tag opens an entity, and the type that it names; nil unless it is `B-` or `I-` and a type.
  static func parts(of tag: String) -> (opens: Bool, type: String)? {
    let bytes = tag.utf8
    guard bytes.count > 2, bytes.starts(with: "B-".utf8) || bytes.starts(with: "I-".utf8)
    else { return nil }
    return (bytes.first == UInt8(ascii: "B"), String(decoding: bytes.dropFirst(2), as: UTF8.self))
  }

  package var stop: Int32 { Int32(types.count) }
  /// What the decoder reads before its first output.
  package var go: Int32 { stop + 1 }
  package var count: Int { types.count + 2 + 2 * window }
  /// The most outputs that a window's spans can need: one of every byte, and STOP.
  package var longestSequence: Int { 3 * window + 1 }

  /// The labels that words can have, sorted.
  var labels: LabelSet {
    LabelSet(
      ordered: types.map { "B-" + $0 } + types.map { "I-" + $0 } + ["O"])
  }

  /// The outputs that say some spans of a window.
  ///
  /// - Parameter spans: In descending order of their starts, each inside the window.
  package func sequence(of spans: [ByteSpan]) -> [Int32] {
    let lengths = Int(go)
    let starts = lengths + window + 1
    var outputs: [Int32] = []
    outputs.reserveCapacity(3 * spans.count + 1)
    for span in spans {
      precondition(
        span.start >= 0 && span.length > 0 && span.end <= window, "\(span) in \(window) bytes")
      outputs.append(Int32(starts + span.start))
      outputs.append(Int32(lengths + span.length))
      outputs.append(Int32(span.type))
    }
    outputs.append(stop)
    return outputs
  }

  /// The spans that some outputs say.
  ///
  /// An output in the place of another kind is left out together with what was said of its span; a start always begins a
  /// new span. A span that ends after the window is left out too.
  ///
  /// - Parameters:
  ///   - outputs: Ids; what follows STOP is not read.
  ///   - bytes: Of the window: fewer at the end of a text.
  /// - Returns: The spans in the order of the outputs, and how many beginnings and outputs were left out.
  package func spans(
    of outputs: some Sequence<Int32>, bytes: Int
  ) -> (spans: [ByteSpan], malformed: Int) {
    let lengths = Int(go)
    let starts = lengths + window + 1
    var spans: [ByteSpan] = []
    var malformed = 0
    var start: Int?
    var length: Int?
    for output in outputs {
      let id = Int(output)
      if output == stop { break }
      if id >= starts {
        if start != nil { malformed += 1 }
        (start, length) = (id - starts, nil)
      } else if id > lengths, start != nil, length == nil {
        length = id - lengths
      } else if id < types.count, let first = start, let count = length {
        if first + count <= bytes {
          spans.append(ByteSpan(start: first, length: count, type: id))
        } else {
          malformed += 1
        }
        (start, length) = (nil, nil)
      } else {
        malformed += 1
        (start, length) = (nil, nil)
      }
    }
    return (spans, malformed + (start == nil ? 0 : 1))
  }
}
