public import Corpus
import Tensors

/// Windows of texts: their bytes, and the outputs that say their spans.
///
/// An item is a window; its index is the byte at which it begins.
public struct SpanBatch: StepBatch {
  public private(set) var segmentBounds = [0]
  public private(set) var itemKeys: [UInt32] = []
  public private(set) var items: [ItemReference] = []
  /// Shape `[bytes]`.
  private(set) var bytes: [Int32] = []
  /// Byte bounds of the windows.
  private(set) var byteBounds = [0]
  /// What the decoder is to say, STOP included. Shape `[outputs]`.
  package private(set) var targets: [Int32] = []
  /// What it reads for that: GO, then the target before. Shape `[outputs]`.
  private(set) var previous: [Int32] = []
  /// Output bounds of the windows.
  package private(set) var targetBounds = [0]

  public var tokenCount: Int { bytes.count }
  package var count: Int { items.count }

  /// The shards of a training step, each a segment.
  init(
    step: ArraySlice<ItemReference>, assignment: [[Int]], shards: Range<Int>, texts: [ByteText],
    _ vocabulary: SpanVocabulary
  ) {
    for shard in shards {
      for item in assignment[shard] {
        let reference = step[step.startIndex + item]
        let text = texts[reference.language]
        append(reference, key: item, text, nil, vocabulary)
      }
      segmentBounds.append(items.count)
    }
  }

  /// Windows of a text, in one segment.
  ///
  /// - Parameters:
  ///   - starts: The bytes at which they begin.
  ///   - targets: What the decoder is to say of each; nil for the spans of the text.
  package init(
    windows starts: [Int], of text: ByteText, _ vocabulary: SpanVocabulary,
    targets: [[Int32]]? = nil
  ) {
    for (key, start) in starts.enumerated() {
      append(
        ItemReference(language: 0, index: start), key: key, text, targets?[key], vocabulary)
    }
    segmentBounds.append(items.count)
  }

  private mutating func append(
    _ item: ItemReference, key: Int, _ text: ByteText, _ targets: [Int32]?,
    _ vocabulary: SpanVocabulary
  ) {
    let window = text.window(at: item.index)
    bytes += text.bytes[window].lazy.map { Int32($0) }
    byteBounds.append(bytes.count)
    let sequence = targets ?? vocabulary.sequence(of: text.spans(in: window))
    self.targets += sequence
    previous.append(vocabulary.go)
    previous += sequence.dropLast()
    targetBounds.append(self.targets.count)
    itemKeys.append(UInt32(key))
    items.append(item)
  }

  public func description(ofToken token: Int, item: Int) -> String? {
    let place = byteBounds[item] + token
    return place < byteBounds[item + 1] ? "byte \(bytes[place])" : nil
  }

  /// The spaces of bytes, outputs and windows. Rows are keyed by their place in their window.
  ///
  /// - Parameter bySegment: Whether rows keep the batch's segments, or form one.
  func spaces(bySegment: Bool) -> (bytes: RowSpace, outputs: RowSpace, windows: RowSpace) {
    func space(_ bounds: [Int], _ counts: [Int]) -> RowSpace {
      RowSpace(
        segmentBounds: bySegment ? bounds : [0, bounds[bounds.count - 1]],
        items: zip(itemKeys, counts).flatMap { repeatElement($0, count: $1) },
        tokens: counts.flatMap { (0..<$0).map { UInt32($0) } })
    }
    func counts(_ bounds: [Int]) -> [Int] { zip(bounds, bounds.dropFirst()).map { $1 - $0 } }
    return (
      space(segmentBounds.map { byteBounds[$0] }, counts(byteBounds)),
      space(segmentBounds.map { targetBounds[$0] }, counts(targetBounds)),
      space(segmentBounds, items.map { _ in 1 })
    )
  }
}
