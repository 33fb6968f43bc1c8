package import CKernels

/// The rows that some tensors share (tokens, or scored words), cut into segments.
///
/// A segment is the work of one shard. Products run on blocks of rows that depend on the bounds of
/// segments alone, and sums over rows are formed for each segment and folded along ``FoldTree``: so
/// what a segment contributes has the same bits whatever stands beside it. Give one segment for all rows
/// where that is not asked for; it costs less.
public final class RowSpace: Sendable {
  public let count: Int
  /// Row bounds of the segments, from 0 to ``count``.
  public let segmentBounds: [Int]
  /// Row ranges, each inside one segment, that one task works on.
  package let blocks: [Range<Int>]
  /// Where each row stands in its work item: what its random numbers are keyed by. Empty or one a row.
  package let places: [ck_place]

  /// - Parameters:
  ///   - segmentBounds: Row bounds, ascending, from 0.
  ///   - items: The key of the work item of each row, or nothing where no row is ever dropped.
  ///   - tokens: The index of each row in its work item; of the count of `items`.
  public init(segmentBounds: [Int], items: [UInt32] = [], tokens: [UInt32] = []) {
    precondition(segmentBounds.first == 0, "segments begin at row 0")
    precondition(items.count == tokens.count, "\(items.count) items, \(tokens.count) tokens")
    self.segmentBounds = segmentBounds
    count = segmentBounds[segmentBounds.count - 1]
    precondition(items.isEmpty || items.count == count, "\(items.count) places of \(count) rows")
    places = zip(items, tokens).map { ck_place(item: $0, token: $1) }
    blocks = (0..<segmentBounds.count - 1).flatMap {
      Self.blocks(of: segmentBounds[$0]..<segmentBounds[$0 + 1])
    }
  }

  public var segmentCount: Int { segmentBounds.count - 1 }

  /// The rows `rows` of this space as a space: row `i` of it stands where row `rows[i]` stands here.
  /// Rows are ascending within a segment and keep their segments.
  public func gathering(_ rows: [Int32], segmentBounds: [Int]) -> RowSpace {
    RowSpace(
      segmentBounds: segmentBounds,
      items: places.isEmpty ? [] : rows.map { places[Int($0)].item },
      tokens: places.isEmpty ? [] : rows.map { places[Int($0)].token })
  }

  /// Blocks of at most 192 rows, a multiple of four of them from 256 rows on, their length a multiple
  /// of 16 (the products of libraries are fastest so).
  static func blocks(of segment: Range<Int>) -> [Range<Int>] {
    if segment.isEmpty { return [] }
    var parts = (segment.count + 191) / 192
    if segment.count >= 256 { parts = (parts + 3) / 4 * 4 }
    let length = ((segment.count + parts - 1) / parts + 15) / 16 * 16
    return stride(from: segment.lowerBound, to: segment.upperBound, by: length).map {
      $0..<min($0 + length, segment.upperBound)
    }
  }
}
