public import Collectives
public import Corpus
import Model
public import Tensors

/// Labels the sentences of a split, and scores them, in batches that the data alone fixes.
public struct Tagger {
  public let method: TokenClassification
  /// The labels of each head.
  public let labels: [LabelSet]
  private let workspace: Workspace
  private let tokensPerBatch: Int

  public init(
    method: TokenClassification, labels: [LabelSet], workspace: Workspace, tokensPerBatch: Int
  ) {
    self.method = method
    self.labels = labels
    self.workspace = workspace
    self.tokensPerBatch = tokensPerBatch
  }

  /// The predicted label of each word of each sentence, and its logits where they are asked for.
  public func predict(
    _ split: Split, language: Int, parameters: ParameterSet, logits: Bool = false,
    each body: (_ sentence: Int, _ labels: ArraySlice<Int32>, _ logits: ArraySlice<[Float]>) -> Void
  ) {
    for batch in EvaluationPlan(split, tokenBudget: tokensPerBatch).batches {
      predict(
        batch, of: split, language: language, parameters: parameters, logits: logits, each: body)
    }
  }

  /// The predicted label of each word of a split, over all ranks. Every rank calls it and gets the same.
  ///
  /// - Returns: Shape `[words]`, in the order of the split.
  public func labels(
    of split: Split, language: Int, parameters: ParameterSet, over communicator: any Communicator
  ) throws(CollectiveError) -> [Int32] {
    let plan = EvaluationPlan(split, tokenBudget: tokensPerBatch)
    var own: [Int32] = []
    for index in plan.batches(ofRank: communicator.rank, ranks: communicator.size) {
      predict(
        plan.batches[index], of: split, language: language, parameters: parameters, logits: false
      ) { _, labels, _ in own += labels }
    }
    let parts = try communicator.allGather(own)
    var all = [Int32](repeating: 0, count: split.facts.words)
    for (rank, part) in parts.enumerated() {
      var rest = part[...]
      for index in plan.batches(ofRank: rank, ranks: communicator.size) {
        for sentence in plan.batches[index] {
          let words = split.words(of: sentence)
          all.replaceSubrange(words, with: rest.prefix(words.count))
          rest = rest.dropFirst(words.count)
        }
      }
    }
    return all
  }

  /// How well a split's labels are found, over all ranks. Every rank calls it and gets the same counts.
  ///
  /// - Parameter modes: What counts as an entity, each counted apart.
  public func evaluate(
    _ split: Split, language: Int, parameters: ParameterSet, modes: [SpanMode] = [.default],
    over communicator: any Communicator
  ) throws(CollectiveError) -> [SpanCounts] {
    let set = labels[method.headOfLanguage[language]]
    let plan = EvaluationPlan(split, tokenBudget: tokensPerBatch)
    var counts = modes.map { _ in SpanCounts() }
    for index in plan.batches(ofRank: communicator.rank, ranks: communicator.size) {
      var gold: [[String]] = []
      var predicted: [[String]] = []
      predict(
        plan.batches[index], of: split, language: language, parameters: parameters, logits: false
      ) { sentence, labels, _ in
        gold.append(split.labels(of: sentence).map { set.labels[Int($0)] })
        predicted.append(labels.map { set.labels[Int($0)] })
      }
      for (place, mode) in modes.enumerated() {
        do {
          counts[place] += try SpanCounts(gold: gold, predicted: predicted, mode: mode)
        } catch {
          preconditionFailure("labels that do not fit the mode: \(error)")
        }
      }
    }
    if communicator.size == 1 { return counts }
    let types = modes.map { Self.types(of: set, $0) }
    var sums = zip(counts, types).flatMap { $0.integers(types: $1) }
    try communicator.allReduce(&sums, .sum)
    var rest = sums[...]
    return types.map { types in
      let count = 2 + 3 * types.count
      defer { rest = rest.dropFirst(count) }
      return SpanCounts(integers: Array(rest.prefix(count)), types: types)
    }
  }

  private func predict(
    _ sentences: [Int], of split: Split, language: Int, parameters: ParameterSet, logits: Bool,
    each body: (Int, ArraySlice<Int32>, ArraySlice<[Float]>) -> Void
  ) {
    let batch = PackedBatch(sentences: sentences, language: language, of: split)
    let tape = Tape(workspace: workspace, parameters: parameters)
    let found = method.predict(batch, logits: logits, on: tape)
    for item in 0..<batch.itemCount {
      let words = batch.wordBounds[item]..<batch.wordBounds[item + 1]
      body(
        batch.items[item].index, found.labels[words], logits ? found.logits[words] : [])
    }
  }

  /// The entity types of a set's labels: those of the spans that each label is by itself.
  private static func types(of set: LabelSet, _ mode: SpanMode) -> [String] {
    let alone = set.labels.map { [$0] }
    let counts = try? SpanCounts(gold: alone, predicted: alone, mode: mode)
    return counts?.types.map(\.type) ?? []
  }
}
