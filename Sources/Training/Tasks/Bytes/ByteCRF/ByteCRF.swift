public import Configuration
public import Corpus
import Determinism
public import Model
public import Tensors

/// Labels for words from their bytes or characters, by LSTMs and a CRF.
///
/// Mueller, Andrews and Dredze, "Sources of Transfer in Multilingual Named Entity Recognition", ACL 2020. Defaults are the
/// paper's. The loss is the negative log-likelihood of the labels of a sentence, a mean over sentences.
public struct ByteCRF: SampledUnitModel {
  public static let schema = TaskSchema(
    name: "byte-crf", summary: "Labels for words from their bytes or characters: LSTMs and a CRF.",
    options: ByteCRFOptions.self, makes: [.model], metrics: [TagScores.metric], takes: [.train],
    languageKeys: ["max_sentences"])
  public static var benches: [any StepBench.Type] { [ByteCRFBench.self] }

  private let crf: ByteCRFNetwork

  public init(_ options: ByteCRFOptions, vocabulary: Int, labels: LabelSet) {
    crf = ByteCRFNetwork(options, vocabulary: vocabulary, labels: labels.count)
  }

  public var network: any Network { crf }

  public var terms: [MethodTerm] { [MethodTerm("crf")] }

  public func weights(of batch: UnitBatch) -> [[Double]] {
    [
      (0..<batch.segmentCount).map { segment in
        let items = batch.segmentBounds[segment]..<batch.segmentBounds[segment + 1]
        return Double(items.count { batch.itemBounds[$0] < batch.itemBounds[$0 + 1] })
      }
    ]
  }

  public func tableRows(of batch: UnitBatch) -> [[Int32]] { [] }

  public func record(_ batch: UnitBatch, bySegment: Bool, on tape: Tape) {
    crf.head.loss(
      crf.logits(batch, bySegment: bySegment, on: tape), targets: batch.labels,
      sentenceBounds: batch.itemBounds, labelSmoothing: 0, on: tape)
  }

  func recordSample(_ batch: UnitBatch, using random: inout RandomStream, on tape: Tape) {
    let logits = crf.logits(batch, bySegment: false, on: tape)
    let labels = crf.head.sampledLabels(
      logits, sentenceBounds: batch.itemBounds, using: &random, on: tape)
    crf.head.loss(
      logits, targets: labels, sentenceBounds: batch.itemBounds, labelSmoothing: 0, on: tape)
  }

  public func predict(
    _ batch: UnitBatch, scores wantScores: Bool, on tape: Tape
  ) -> (labels: [Int32], scores: [Float]) {
    let logits = crf.logits(batch, bySegment: false, on: tape)
    let labels = crf.head.predictions(logits, sentenceBounds: batch.itemBounds, on: tape)
    return (labels, wantScores ? logits.array : [])
  }
}

/// The task of the Byte-CRF.
public typealias ByteCRFTask = UnitTask<ByteCRF>
