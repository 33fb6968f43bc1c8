import Configuration
import Corpus
import Determinism
import Files
import Training

/// Sentences as rows of the table, with float targets.
struct HashedCorpus: Sendable {
  struct Item: Sendable {
    var buckets: [Int32]
    /// Shape `[words, labels]`.
    var targets: [Float]
    var path: String
    var line: Int
  }
  private(set) var sentences: [Item] = []

  /// - Parameters:
  ///   - peak: The share of a target that its tag has.
  ///   - soft: Targets in place of the tags.
  init(
    _ texts: [Sentence], labels: LabelSet, peak: Double, soft: SoftLabels? = nil,
    _ network: HashedNetwork
  ) throws {
    for (index, sentence) in texts.enumerated() {
      var targets = [Float](repeating: 0, count: sentence.words.count * labels.count)
      if let soft {
        let given = soft.probabilities(ofSentence: index)
        for word in sentence.words.indices {
          for (column, name) in soft.labels.enumerated() {
            guard let label = labels.labels.firstIndex(of: name) else { continue }
            targets[word * labels.count + label] =
              given[given.startIndex + word * soft.labels.count + column]
          }
        }
      } else {
        let rest = Float((1 - peak) / Double(max(1, labels.count - 1)))
        for (word, label) in try labels.ids(of: sentence).enumerated() {
          for other in 0..<labels.count {
            targets[word * labels.count + other] = other == Int(label) ? Float(peak) : rest
          }
        }
      }
      sentences.append(
        Item(
          buckets: sentence.words.map { network.bucket(of: $0) }, targets: targets,
          path: sentence.path, line: sentence.line))
    }
  }

  var fingerprint: UInt64 {
    var hash = FNV1a()
    for sentence in sentences {
      for bucket in sentence.buckets { hash.add(word: UInt64(bucket)) }
      for target in sentence.targets { hash.add(word: UInt64(target.bitPattern)) }
    }
    return hash.value
  }
}

/// The sentences of all languages of a stage in an order that each epoch shuffles anew.
struct HashedFeed: StageFeed {
  private let corpora: [HashedCorpus]
  private let codes: [String]
  private let all: [ItemReference]
  private let itemsPerStep: Int
  private let seed: UInt64
  private let stage: Int
  private var order: (epoch: Int, items: [ItemReference])?
  private var items: ArraySlice<ItemReference> = []

  init(
    _ corpora: [HashedCorpus], codes: [String], languages: [Int],
    stepSize: TrainingConfiguration.StepSize, seed: UInt64, stage: Int
  ) {
    self.corpora = corpora
    self.codes = codes
    self.seed = seed
    self.stage = stage
    all = languages.flatMap { language in
      corpora[language].sentences.indices.map { ItemReference(language: language, index: $0) }
    }
    switch stepSize {
    case .sentences(let count): itemsPerStep = count
    case .tokens(let count):
      let words = all.reduce(0) { $0 + corpora[$1.language].sentences[$1.index].buckets.count }
      itemsPerStep = max(1, count * all.count / max(1, words))
    }
  }

  private var stepsPerEpoch: Int { max(1, (all.count + itemsPerStep - 1) / itemsPerStep) }

  mutating func stepCount(epochs: Double) -> Int {
    Int((epochs * Double(stepsPerEpoch)).rounded(.up))
  }

  mutating func place(ofStep step: Int) -> (epoch: Int, index: Int) {
    (step / stepsPerEpoch, step % stepsPerEpoch)
  }

  mutating func representativeSteps(of steps: Int) -> Int { max(1, min(steps, stepsPerEpoch)) }

  mutating func go(toStep step: Int) -> ArraySlice<ItemReference> {
    let (epoch, index) = place(ofStep: step)
    if order?.epoch != epoch {
      var random = RandomStream(seed: seed, "order", .number(stage), .number(epoch))
      var shuffled = all
      random.shuffle(&shuffled)
      order = (epoch, shuffled)
    }
    items = (order?.items ?? [])[(index * itemsPerStep)...].prefix(itemsPerStep)
    return items
  }

  private func sentence(_ item: ItemReference) -> HashedCorpus.Item {
    corpora[item.language].sentences[item.index]
  }

  func lengths(ofItem item: Int) -> [Int] {
    [sentence(items[items.startIndex + item]).buckets.count]
  }

  func batch(_ assignment: [[Int]], shards: Range<Int>) -> HashedBatch {
    var batch = HashedBatch()
    for shard in shards {
      for item in assignment[shard] {
        let reference = items[items.startIndex + item]
        let sentence = sentence(reference)
        batch.items.append(reference)
        batch.itemKeys.append(UInt32(item))
        batch.buckets += sentence.buckets
        batch.targets += sentence.targets
        batch.wordBounds.append(batch.buckets.count)
      }
      batch.segmentBounds.append(batch.items.count)
    }
    return batch
  }

  func place(of item: ItemReference) -> (path: String, line: Int) {
    (sentence(item).path, sentence(item).line)
  }

  mutating func ledger(steps: Int, languages: [Int]) -> [[String]] {
    [["language", "sentences"]]
      + languages.map { [codes[$0], "\(corpora[$0].sentences.count)"] }
  }
}
