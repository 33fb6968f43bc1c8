public import Corpus
import Tensors

/// Sentences of a rank's shards, their words as units: bytes or characters.
public struct UnitBatch: StepBatch {
  public private(set) var segmentBounds = [0]
  public private(set) var itemKeys: [UInt32] = []
  public private(set) var items: [ItemReference] = []
  /// The id of each unit. Shape `[units]`.
  private(set) var units: [Int32] = []
  /// Unit bounds of the words.
  private(set) var wordBounds = [0]
  /// Word bounds of the items.
  private(set) var itemBounds = [0]
  /// The label of each word. Shape `[words]`, or empty.
  private(set) var labels: [Int32] = []

  public var tokenCount: Int { units.count }
  var wordCount: Int { wordBounds.count - 1 }
  /// Unit bounds of the items.
  var itemUnitBounds: [Int] { itemBounds.map { wordBounds[$0] } }

  /// The shards of a training step, each a segment.
  init(
    step: ArraySlice<ItemReference>, assignment: [[Int]], shards: Range<Int>,
    corpora: [UnitCorpus]
  ) {
    for shard in shards {
      for item in assignment[shard] {
        let reference = step[step.startIndex + item]
        append(reference, key: item, corpora[reference.language])
      }
      segmentBounds.append(items.count)
    }
  }

  /// Sentences to be labelled, in one segment.
  init(sentences: [Int], of corpus: UnitCorpus) {
    for (key, sentence) in sentences.enumerated() {
      append(ItemReference(language: 0, index: sentence), key: key, corpus)
    }
    segmentBounds.append(items.count)
  }

  private mutating func append(_ item: ItemReference, key: Int, _ corpus: UnitCorpus) {
    let words = corpus.words(of: item.index)
    for word in words {
      units += corpus.units[corpus.wordBounds[word]..<corpus.wordBounds[word + 1]]
      wordBounds.append(units.count)
    }
    if !corpus.labels.isEmpty { labels += corpus.labels[words] }
    itemBounds.append(wordCount)
    itemKeys.append(UInt32(key))
    items.append(item)
  }

  /// The words of each segment without those that stand before in it, and for each word its place among them.
  func distinctWords() -> (batch: UnitBatch, places: [Int32]) {
    var distinct = UnitBatch()
    var places: [Int32] = []
    for segment in 0..<segmentCount {
      var known: [ArraySlice<Int32>: Int32] = [:]
      let items = segmentBounds[segment]..<segmentBounds[segment + 1]
      for word in itemBounds[items.lowerBound]..<itemBounds[items.upperBound] {
        let units = units[wordBounds[word]..<wordBounds[word + 1]]
        if let place = known[units] {
          places.append(place)
          continue
        }
        known[units] = Int32(distinct.wordCount)
        places.append(Int32(distinct.wordCount))
        distinct.units += units
        distinct.wordBounds.append(distinct.units.count)
      }
      distinct.itemBounds.append(distinct.wordCount)
      distinct.itemKeys.append(0)
      distinct.segmentBounds.append(segment + 1)
    }
    return (distinct, places)
  }

  private init() {}

  /// The spaces of units, words and items. Rows are keyed by their place in their item.
  ///
  /// - Parameter bySegment: Whether rows keep the batch's segments, or form one.
  func spaces(bySegment: Bool) -> (units: RowSpace, words: RowSpace, items: RowSpace) {
    let wordSegments = segmentBounds.map { itemBounds[$0] }
    let unitSegments = wordSegments.map { wordBounds[$0] }
    func space(_ bounds: [Int], _ counts: [Int]) -> RowSpace {
      RowSpace(
        segmentBounds: bySegment ? bounds : [0, bounds[bounds.count - 1]],
        items: zip(itemKeys, counts).flatMap { repeatElement($0, count: $1) },
        tokens: counts.flatMap { (0..<$0).map { UInt32($0) } })
    }
    let words = zip(itemBounds, itemBounds.dropFirst())
    return (
      space(unitSegments, words.map { wordBounds[$1] - wordBounds[$0] }),
      space(wordSegments, words.map { $1 - $0 }),
      space(segmentBounds, items.map { _ in 1 })
    )
  }
}
