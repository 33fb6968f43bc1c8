import Collectives
import Corpus
import Model
import Tensors

/// Labels the sentences of a corpus, in batches that the data alone fixes.
struct UnitTagger<Model: UnitModel> {
  let model: Model
  let workspace: Workspace
  let unitsPerBatch: Int
  /// How many labels the model has.
  let labelCount: Int

  /// - Parameter body: Called once for each sentence, in the order of the batches, with its labels, and the scores of the
  ///   labels of its words, row-major, where they are asked for.
  func predict(
    _ corpus: UnitCorpus, _ parameters: ParameterSet, scores: Bool = false,
    each body: (_ sentence: Int, _ labels: ArraySlice<Int32>, _ scores: ArraySlice<Float>) -> Void
  ) {
    let plan = EvaluationPlan(tokenCounts: corpus.unitCounts, tokenBudget: unitsPerBatch)
    for batch in plan.batches { predict(batch, of: corpus, parameters, scores: scores, each: body) }
  }

  /// The labels of each sentence, over all ranks. Every rank calls it and gets the same.
  func labels(
    of corpus: UnitCorpus, _ parameters: ParameterSet, over communicator: any Communicator
  ) throws(CollectiveError) -> [[Int32]] {
    let plan = EvaluationPlan(tokenCounts: corpus.unitCounts, tokenBudget: unitsPerBatch)
    var own: [Int32] = []
    for index in plan.batches(ofRank: communicator.rank, ranks: communicator.size) {
      predict(plan.batches[index], of: corpus, parameters, scores: false) { _, labels, _ in
        own += labels
      }
    }
    let parts = try communicator.allGather(own)
    var all = [[Int32]](repeating: [], count: corpus.count)
    for (rank, part) in parts.enumerated() {
      var rest = part[...]
      for index in plan.batches(ofRank: rank, ranks: communicator.size) {
        for sentence in plan.batches[index] {
          all[sentence] = Array(rest.prefix(corpus.words(of: sentence).count))
          rest = rest.dropFirst(all[sentence].count)
        }
      }
    }
    return all
  }

  private func predict(
    _ sentences: [Int], of corpus: UnitCorpus, _ parameters: ParameterSet, scores: Bool,
    each body: (Int, ArraySlice<Int32>, ArraySlice<Float>) -> Void
  ) {
    let batch = UnitBatch(sentences: sentences, of: corpus)
    let tape = Tape(workspace: workspace, parameters: parameters)
    let found = model.predict(batch, scores: scores, on: tape)
    for (item, sentence) in sentences.enumerated() {
      let words = batch.itemBounds[item]..<batch.itemBounds[item + 1]
      body(
        sentence, found.labels[words],
        scores
          ? found.scores[words.lowerBound * labelCount..<words.upperBound * labelCount] : [])
    }
  }
}
