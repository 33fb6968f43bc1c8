import Corpus
import Tensors
import Training

/// Sentences of a rank's shards, with a float target for each label of each word.
struct HashedBatch: StepBatch {
  var segmentBounds = [0]
  var itemKeys: [UInt32] = []
  var items: [ItemReference] = []
  /// Word bounds of the items.
  var wordBounds = [0]
  /// The table's row of each word.
  var buckets: [Int32] = []
  /// Shape `[words, labels]`.
  var targets: [Float] = []

  var tokenCount: Int { buckets.count }

  func words(ofItem item: Int) -> Range<Int> { wordBounds[item]..<wordBounds[item + 1] }
}

/// First-order meta-learning on one sentence at a time: two updates on its even words, over weights of the sentence's own,
/// then the gradient of its odd words where they ended (Finn et al., 2017).
struct HashedMethod: TrainingMethod {
  let network: HashedNetwork
  let innerLearningRate: Double

  private static let innerUpdates = 2

  var terms: [MethodTerm] { [MethodTerm("query", scope: .item)] }

  var worksByShard: Bool { true }

  /// The words that the outer loss is of: those at odd places of their sentence.
  private func query(_ batch: HashedBatch, _ item: Int) -> [Int] {
    batch.words(ofItem: item).filter { ($0 - batch.wordBounds[item]) % 2 == 1 }
  }

  func weights(of batch: HashedBatch) -> [[Double]] {
    [batch.items.indices.map { Double(query(batch, $0).count) }]
  }

  func tableRows(of batch: HashedBatch) -> [[Int32]] {
    [Set(batch.items.indices.flatMap { query(batch, $0).map { batch.buckets[$0] } }).sorted()]
  }

  var readsMoreRows: Bool { true }

  func rowsRead(of batch: HashedBatch) -> [[Int32]] { [Set(batch.buckets).sorted()] }

  func accumulate(_ batch: HashedBatch, _ pass: Pass) {
    let scored = batch.items.indices.filter { !query(batch, $0).isEmpty }
    let optimiser = Optimiser(.sgd(SGD()))
    var state = OptimiserState(optimiser.algorithm, layout: network.layout)
    let rates = network.layout.entries.map { _ in
      (learningRate: innerLearningRate, weightDecay: 0.0)
    }
    for item in scored {
      var own = pass.ownWeights()
      let gradients = pass.ownGradients()
      let support = batch.words(ofItem: item).filter { ($0 - batch.wordBounds[item]) % 2 == 0 }
      state.reset()
      for update in 0..<Self.innerUpdates {
        gradients.reset()
        learn(
          batch, item, support, on: pass.innerTape(over: own, into: gradients, number: 1 + update))
        optimiser.update(
          &own, gradients, &state, norm: 0, rates: rates, in: pass.workspace)
      }
      let outer = pass.tape(over: own, last: item == scored.last, number: 1 + Self.innerUpdates)
      loss(batch, item, query(batch, item), on: outer)
      pass.backward(outer, item: item)
      pass.release(own)
      pass.release(gradients)
    }
  }

  /// Runs an inner tape, which nobody holds afterwards: its weights are then updated in place.
  private func learn(_ batch: HashedBatch, _ item: Int, _ words: [Int], on tape: Tape) {
    loss(batch, item, words, on: tape)
    for term in tape.terms { term.seed = 1 / Float(words.count) }
    tape.backward()
    tape.release()
  }

  private func loss(_ batch: HashedBatch, _ item: Int, _ words: [Int], on tape: Tape) {
    let first = batch.wordBounds[item]
    let space = RowSpace(
      segmentBounds: [0, words.count], items: words.map { _ in batch.itemKeys[item] },
      tokens: words.map { UInt32($0 - first) })
    let logits = network.logits(words.map { batch.buckets[$0] }, in: space, on: tape)
    tape.softCrossEntropy(
      logits,
      targets: words.flatMap {
        batch.targets[$0 * network.labels..<($0 + 1) * network.labels]
      }, named: "query")
  }
}
