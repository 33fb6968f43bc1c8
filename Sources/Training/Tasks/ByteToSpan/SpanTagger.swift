import Collectives
import Corpus
import Tensors

/// Labels the words of a text by the spans of its windows, in batches that the text alone fixes.
struct SpanTagger {
  let method: ByteToSpanMethod
  let workspace: Workspace
  let bytesPerBatch: Int
  /// Bytes from one window to the next.
  let stride: Int

  /// What was found in a text.
  struct Found {
    /// Of each sentence, in IOB2.
    var tags: [[String]]
    /// See ``SpanVocabulary/spans(of:bytes:)``.
    var malformed = 0
    /// Windows whose outputs did not stop.
    var unfinished = 0
  }

  /// Every rank calls it and gets the same.
  func found(
    in text: ByteText, _ parameters: ParameterSet, over communicator: any Communicator
  ) throws(CollectiveError) -> Found {
    let vocabulary = method.network.vocabulary
    let starts = text.windowStarts(stride: stride)
    let outputs = try self.outputs(starts, of: text, parameters, over: communicator)
    var found = Found(tags: [])
    var spans: [(start: Int, spans: [ByteSpan])] = []
    for (start, outputs) in zip(starts, outputs) {
      let said = vocabulary.spans(of: outputs, bytes: text.window(at: start).count)
      spans.append((start, said.spans))
      found.malformed += said.malformed
      found.unfinished += outputs.last == vocabulary.stop ? 0 : 1
    }
    found.tags = text.tags(of: text.merged(spans), vocabulary.types)
    return found
  }

  /// The outputs of each window, over all ranks.
  private func outputs(
    _ starts: [Int], of text: ByteText, _ parameters: ParameterSet,
    over communicator: any Communicator
  ) throws(CollectiveError) -> [[Int32]] {
    let plan = EvaluationPlan(
      tokenCounts: starts.map { Int32(text.window(at: $0).count) }, tokenBudget: bytesPerBatch)
    // Of each window how many outputs there are, and these.
    var own: [Int32] = []
    for index in plan.batches(ofRank: communicator.rank, ranks: communicator.size) {
      let batch = SpanBatch(
        windows: plan.batches[index].map { starts[$0] }, of: text, method.network.vocabulary)
      for outputs in method.outputs(batch, parameters, in: workspace) {
        own.append(Int32(outputs.count))
        own += outputs
      }
    }
    let parts = try communicator.allGather(own)
    var all = [[Int32]](repeating: [], count: starts.count)
    for (rank, part) in parts.enumerated() {
      var next = 0
      for index in plan.batches(ofRank: rank, ranks: communicator.size) {
        for window in plan.batches[index] {
          let end = next + 1 + Int(part[next])
          all[window] = Array(part[next + 1..<end])
          next = end
        }
      }
    }
    return all
  }
}
