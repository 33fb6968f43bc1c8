import Checkpoints
import Corpus
import Foundation
import Model
import Tensors
import TestSupport
import Testing
import Training

/// A real checkpoint against `transformers` and PyTorch: what `Tests/Peers/minilm.py --out DIR` wrote, with
/// `ISOGLOSS_MINILM_REFERENCE=DIR`.
@Suite(
  .enabled(
    if: ProcessInfo.processInfo.environment["ISOGLOSS_MINILM_REFERENCE"] != nil,
    "needs ISOGLOSS_MINILM_REFERENCE, see Tests/Peers/minilm.py"))
struct MiniLMTests {
  let folder = ProcessInfo.processInfo.environment["ISOGLOSS_MINILM_REFERENCE"] ?? ""
  let file: SafetensorsFile
  let workspace = Workspace(kernels: .forTests, threadCount: 2)

  static let autocast =
    (ProcessInfo.processInfo.environment["ISOGLOSS_MINILM_REFERENCE"] ?? "")
    + "/autocast.safetensors"

  init() throws {
    file = try SafetensorsFile(folder + "/reference.safetensors")
  }

  private func floats(_ name: String, of other: SafetensorsFile? = nil) throws -> [Float] {
    let file = other ?? self.file
    var values = [Float](repeating: 0, count: try #require(file[name]).count)
    var span = values.mutableSpan
    try file.read(name, into: &span)
    return values
  }

  private func integers(_ name: String, of other: SafetensorsFile? = nil) throws -> [Int32] {
    let file = other ?? self.file
    var values = [Int32](repeating: 0, count: try #require(file[name]).count)
    var span = values.mutableSpan
    try file.readExactly(name, into: &span)
    return values
  }

  private func model() throws -> TrainedModel {
    let config = try HuggingFaceConfig(directory: folder + "/checkpoint")
    var encoder = try EncoderConfiguration(config, path: "config.json")
    encoder.hiddenDropout = 0
    encoder.attentionDropout = 0
    let labels = LabelSet(ordered: try #require(config.labels))
    let classifier = TokenClassifier(encoder, head: .softmax, labelCounts: [labels.count])
    var model = TrainedModel(
      network: classifier, parameters: ParameterSet(layout: classifier.layout))
    _ = try model.readWeights(directory: folder + "/checkpoint", needsHeads: true)
    return model
  }

  private func input(
    _ prefix: String, sequences: Range<Int>, of file: SafetensorsFile? = nil
  ) throws -> EncoderInput {
    let bounds = try integers("\(prefix).bounds", of: file).map(Int.init)
    let tokens = bounds[sequences.lowerBound]..<bounds[sequences.upperBound]
    return EncoderInput(
      space: RowSpace(segmentBounds: [0, tokens.count]),
      tokenIDs: Array(try integers("\(prefix).ids", of: file)[tokens]),
      positions: Array(try integers("\(prefix).positions", of: file)[tokens]),
      tokenTypes: [Int32](repeating: 0, count: tokens.count),
      sequenceBounds: bounds[sequences.lowerBound...sequences.upperBound].map {
        $0 - tokens.lowerBound
      })
  }

  @Test func hiddenStatesOf200Sentences() throws {
    let model = try model()
    let tape = Tape(workspace: workspace, parameters: model.parameters)
    let states = model.classifier.encoder.hiddenStates(
      try input("hidden", sequences: 0..<200), on: tape)
    var worst: Float = 0
    for (layer, state) in states.enumerated() {
      for (found, wanted) in zip(state.array, try floats("hidden.\(layer)")) {
        worst = max(worst, abs(found - wanted))
      }
    }
    print("hidden states: largest difference \(worst)")
    #expect(worst <= 1e-4)
  }

  /// Records the loss of a step's sentences; returns its mean after the backward pass.
  private func step(
    _ index: Int, _ model: TrainedModel, _ gradients: GradientBuffer,
    in workspace: Workspace, of file: SafetensorsFile? = nil
  ) throws -> Double {
    let batches = try integers("steps.batches", of: file).map(Int.init)
    let bounds = try integers("steps.bounds", of: file).map(Int.init)
    let sequences = batches[index]..<batches[index + 1]
    let tape = Tape(
      workspace: workspace, parameters: model.parameters, gradients: gradients)
    gradients.reset()
    let input = try input("steps", sequences: sequences, of: file)
    let states = model.classifier.encoder.hiddenStates(input, on: tape)
    let head = model.classifier.heads[0]
    head.loss(
      head.logits(states[states.count - 1], on: tape),
      targets: Array(
        try integers("steps.labels", of: file)[
          bounds[sequences.lowerBound]..<bounds[sequences.upperBound]]),
      sentenceBounds: input.sequenceBounds, labelSmoothing: 0, on: tape)
    let term = tape.terms[0]
    term.seed = Float(1 / term.segmentWeights[0])
    tape.backward()
    return term.segmentSums[0] / term.segmentWeights[0]
  }

  @Test func gradientsOfABatch() throws {
    let model = try model()
    let gradients = GradientBuffer(layout: model.classifier.layout)
    let loss = try step(0, model, gradients, in: workspace)
    #expect(abs(loss - Double(try floats("gradient.loss")[0])) < 1e-5)
    var largest: Float = 0
    for tensor in file.tensors where tensor.name.hasPrefix("gradient.") && tensor.count > 1 {
      largest = max(largest, try floats(tensor.name).reduce(0) { max($0, abs($1)) })
    }
    var worst: (Float, String) = (0, "")
    for (entry, place) in model.classifier.layout.entries.enumerated() {
      let wanted = try floats("gradient.\(model.classifier.fileName(ofEntry: entry))")
      let found = gradients.read(entry: entry) { span in span.indices.map { span[$0] } }
      let own = wanted.reduce(Float(0)) { max($0, abs($1)) }
      let difference = zip(found, wanted).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
      let relative = difference / max(own, 1e-4 * largest)
      if relative > worst.0 { worst = (relative, place.name) }
      #expect(relative <= 1e-4, "\(place.name): \(relative)")
    }
    print("gradients: largest relative difference \(worst.0) of \(worst.1)")
  }

  /// The losses of AdamW steps from the reference's checkpoint.
  private func losses(
    _ steps: Int, in workspace: Workspace, of file: SafetensorsFile? = nil
  ) throws -> [Double] {
    var model = try model()
    let gradients = GradientBuffer(layout: model.classifier.layout)
    var state = OptimiserState(.adamW(AdamW()), layout: model.classifier.layout)
    let rates = model.classifier.layout.entries.map {
      (learningRate: 1e-4, weightDecay: $0.shape.count > 1 ? 0.01 : 0)
    }
    return try (0..<steps).map { index in
      let loss = try step(index, model, gradients, in: workspace, of: file)
      let norm = gradients.norm(in: workspace)
      AdamW().update(
        &model.parameters, gradients, &state, gradientScale: Float(min(1, 1 / (norm + 1e-6))),
        rates: rates, in: workspace)
      return loss
    }
  }

  @Test func lossesOf20Steps() throws {
    let wanted = try floats("train.losses")
    let worst = zip(try losses(20, in: workspace), wanted).map { abs($0 - Double($1)) }.max() ?? 1
    print("20 steps: largest difference of a loss \(worst)")
    #expect(worst <= 1e-3)
  }

  /// bf16 against PyTorch's autocast over 200 steps: running means of 20 losses.
  @Test(
    .enabled(
      if: FileManager.default.fileExists(atPath: autocast), "needs Tests/Peers/autocast.py"))
  func runningMeansOf200StepsInBF16() throws {
    let file = try SafetensorsFile(Self.autocast)
    let rounded = Workspace(kernels: .forTests, threadCount: 2, precision: .bf16)
    defer { rounded.stop() }
    func means(_ losses: [Double]) -> [Double] {
      (0...losses.count - 20).map { losses[$0..<$0 + 20].reduce(0, +) / 20 }
    }
    func worst(_ found: [Double], _ wanted: [Double]) -> Double {
      zip(means(found), means(wanted)).map { abs($0 - $1) / $1 }.max() ?? 1
    }
    let (fp32, bf16) = (
      try floats("train.fp32", of: file).map(Double.init),
      try floats("train.bf16", of: file).map(Double.init)
    )
    let found = worst(try losses(200, in: rounded, of: file), bf16)
    let plain = worst(try losses(200, in: workspace, of: file), fp32)
    print(
      "200 steps, running means: bf16 \(found) from autocast, fp32 \(plain) from PyTorch, "
        + "PyTorch's fp32 \(worst(fp32, bf16)) from its autocast")
    #expect(found <= 0.01)
  }
}
