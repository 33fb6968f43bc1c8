import Checkpoints
import Corpus
import Foundation
import Model
import Tensors
import TestSupport
import Testing
import Tokenizers
import Training

/// Scores, losses, gradients and a short training of tiny masked language models against `transformers`, from
/// checkpoints that it saved. `python3 Tests/Golden/masked_lm.py Tests/ModelTests/Fixtures` makes the files.
@Suite struct MaskedLanguageModelTests {
  /// Where a model of a real size is looked for.
  static let large = ProcessInfo.processInfo.environment["ISOGLOSS_MASKED_LM_REFERENCE"]
  static let families = large == nil ? ["bert", "xlm-roberta"] : ["xlm-roberta"]

  private static func place(_ name: String) -> String {
    large.map { "\($0)/\(name)" } ?? fixture(name)
  }

  private func place(_ name: String) -> String { Self.place(name) }

  private struct Expected {
    let file: SafetensorsFile

    init(_ family: String) throws {
      file = try SafetensorsFile(
        MaskedLanguageModelTests.place("expected-masked-\(family).safetensors"))
    }

    func floats(_ name: String) throws -> [Float] {
      var values = [Float](repeating: 0, count: try #require(file[name]).count)
      var span = values.mutableSpan
      try file.read(name, into: &span)
      return values
    }

    func integers(_ name: String) throws -> [Int32] {
      var values = [Int32](repeating: 0, count: try #require(file[name]).count)
      var span = values.mutableSpan
      try file.readExactly(name, into: &span)
      return values
    }
  }

  private func model(_ family: String) throws -> (TrainedModel, MaskedLanguageModel) {
    let directory = place("masked-\(family)")
    let config = try HuggingFaceConfig(directory: directory)
    let network = MaskedLanguageModel(try EncoderConfiguration(config, path: directory))
    var model = TrainedModel(
      network: network, parameters: ParameterSet(layout: network.layout))
    let report = try model.readWeights(directory: directory, needsHeads: true)
    #expect(report.missing.isEmpty && report.unused.isEmpty)
    return (model, network)
  }

  /// A batch of the fixture, cut into segments at the given bounds of its sequences.
  private struct Batch {
    var input: EncoderInput
    var rows: [Int32] = []
    var targets: [Int32] = []
    var space: RowSpace

    /// - Parameter segments: Bounds in sequences; nil for one segment.
    init(_ expected: Expected, _ number: Int, segments inSequences: [Int]? = nil) throws {
      let bounds = try expected.integers("bounds").map(Int.init)
      let segments = (inSequences ?? [0, bounds.count - 1]).map { bounds[$0] }
      let tokenCount = bounds[bounds.count - 1]
      let own = tokenCount * number..<tokenCount * (number + 1)
      let ids = try expected.integers("ids")[own]
      let wanted = try expected.integers("wanted")[own]
      let places = bounds.indices.dropLast().flatMap { index in
        (0..<bounds[index + 1] - bounds[index]).map { Int32($0) }
      }
      let tokens = RowSpace(segmentBounds: segments)
      input = EncoderInput(
        space: tokens, tokenIDs: Array(ids), positions: places,
        tokenTypes: ids.map { _ in 0 }, sequenceBounds: bounds)
      var ends = [0]
      for (segment, end) in segments.enumerated().dropFirst() {
        for row in segments[segment - 1]..<end where wanted[wanted.startIndex + row] >= 0 {
          rows.append(Int32(row))
          targets.append(wanted[wanted.startIndex + row])
        }
        ends.append(rows.count)
      }
      space = tokens.gathering(rows, segmentBounds: ends)
    }
  }

  private func expectClose(
    _ found: [Float], _ wanted: [Float], _ tolerance: Float, _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(found.count == wanted.count, sourceLocation: sourceLocation)
    let difference = zip(found, wanted).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
    #expect(difference <= tolerance, "\(what): \(difference)", sourceLocation: sourceLocation)
  }

  /// A decoder of its own that has the numbers of the word table: the same loss, and the table's gradient is both of theirs.
  @Test(arguments: ["bert", "xlm-roberta"], [[], [0, 1, 1, 3]])
  func anUntiedDecoderIsTheOtherHalfOfTheTable(family: String, segments: [Int]) throws {
    if Self.large != nil { return }
    let workspace = Workspace(kernels: .forTests, threadCount: 2)
    defer { workspace.stop() }
    let expected = try Expected(family)
    let (tied, tiedNetwork) = try model(family)
    var configuration = tiedNetwork.configuration
    configuration.tiesWordEmbeddings = false
    let network = MaskedLanguageModel(configuration)
    var untied = TrainedModel(
      network: network, parameters: ParameterSet(layout: network.layout))
    // The bias is found by its other name, and the decoder is new.
    let report = try untied.readWeights(
      directory: place("masked-\(family)"), needsHeads: false)
    #expect(report.missing.count == 1 && report.missing[0].hasSuffix("decoder.weight"))
    let words = "embeddings.word_embeddings.weight"
    let table = try #require(network.layout.index(of: words))
    let decoder = try #require(network.layout.index(of: report.missing[0]))
    let numbers = untied.parameters.read(entry: table) { span in span.indices.map { span[$0] } }
    untied.parameters.update(entry: decoder) { span in
      for index in span.indices { span[index] = numbers[index] }
    }
    let last = try expected.integers("bounds").count - 1
    let batch = try Batch(expected, 0, segments: segments.isEmpty ? nil : segments + [last])
    func run(
      _ network: MaskedLanguageModel, _ parameters: ParameterSet
    ) -> (loss: Double, gradients: GradientBuffer) {
      let gradients = GradientBuffer(layout: network.layout)
      let tape = Tape(workspace: workspace, parameters: parameters, gradients: gradients)
      network.loss(
        batch.input, rows: batch.rows, as: batch.space, targets: batch.targets, on: tape)
      tape.terms[0].seed = 1 / Float(batch.rows.count)
      tape.backward()
      return (tape.terms[0].segmentSums.reduce(0, +), gradients)
    }
    let (loss, gradients) = run(network, untied.parameters)
    let (tiedLoss, tiedGradients) = run(tiedNetwork, tied.parameters)
    #expect(loss == tiedLoss)
    func values(_ gradients: GradientBuffer, _ entry: Int) -> [Float] {
      gradients.read(entry: entry) { span in span.indices.map { span[$0] } }
    }
    let whole = values(
      tiedGradients, try #require(tiedNetwork.layout.index(of: words)))
    let halves = zip(values(gradients, table), values(gradients, decoder)).map { $0 + $1 }
    expectClose(halves, whole, 1e-6 * (whole.map(abs).max() ?? 0) + 1e-9, "the table")
  }

  @Test(arguments: families, [[], [0, 1, 1, 3]])
  func scoresLossAndGradientsAgree(family: String, segments: [Int]) throws {
    let workspace = Workspace(kernels: .forTests, threadCount: 2)
    defer { workspace.stop() }
    let expected = try Expected(family)
    let (model, network) = try model(family)
    let last = try expected.integers("bounds").count - 1
    let batch = try Batch(expected, 0, segments: segments.isEmpty ? nil : segments + [last])
    let plain = Tape(workspace: workspace, parameters: model.parameters)
    let scores = network.scores(batch.input, rows: batch.rows, as: batch.space, on: plain)
    // Three layers of sums of at most 24 products of numbers of size one, in fp32.
    let wantedScores = try expected.floats("scores")
    expectClose(Array(scores.array.prefix(wantedScores.count)), wantedScores, 5e-5, "scores")

    let gradients = GradientBuffer(layout: network.layout)
    let tape = Tape(workspace: workspace, parameters: model.parameters, gradients: gradients)
    network.loss(
      batch.input, rows: batch.rows, as: batch.space, targets: batch.targets, on: tape)
    let term = tape.terms[0]
    let weight = term.segmentWeights.reduce(0, +)
    #expect(weight == Double(batch.rows.count))
    #expect(term.segmentSums.count == max(1, segments.count))
    let loss = term.segmentSums.reduce(0, +) / weight
    #expect(abs(loss - Double(try expected.floats("loss")[0])) < 5e-6)
    term.seed = Float(1 / weight)
    tape.backward()
    var largest: Float = 0
    for tensor in expected.file.tensors where tensor.name.hasPrefix("grad.") {
      largest = max(largest, try expected.floats(tensor.name).reduce(0) { max($0, abs($1)) })
    }
    for (entry, place) in network.layout.entries.enumerated() {
      let wanted = try expected.floats("grad.\(network.fileName(ofEntry: entry))")
      let found = gradients.read(entry: entry) { span in span.indices.map { span[$0] } }
      let own = wanted.reduce(Float(0)) { max($0, abs($1)) }
      // Of the tiny models: a key's bias has a true gradient of zero, of which rounding leaves some 1e-7 of the largest.
      let noise: Float = Self.large == nil ? 1e-3 : 1e-4
      expectClose(found, wanted, 1e-4 * max(own, noise * largest), place.name)
    }
  }

  /// 100 steps of AdamW: fp32 within 1e-3 of each loss, bf16 within 1 %.
  @Test(arguments: families, [(Precision.fp32, 1e-3), (.bf16, 1e-2)])
  func aHundredStepsHaveTheReferencesLosses(family: String, with: (Precision, Double)) throws {
    let workspace = Workspace(kernels: .forTests, threadCount: 2, precision: with.0)
    defer { workspace.stop() }
    let expected = try Expected(family)
    var (model, network) = try model(family)
    let wanted = try expected.floats("losses")
    let rate = Double(try expected.floats("rate")[0])
    let gradients = GradientBuffer(layout: network.layout)
    var state = OptimiserState(.adamW(AdamW()), layout: network.layout)
    let rates = network.layout.entries.map { _ in (learningRate: rate, weightDecay: 0.01) }
    var worst = 0.0
    for (step, wanted) in wanted.enumerated() {
      let batch = try Batch(expected, step)
      gradients.reset()
      let tape = Tape(workspace: workspace, parameters: model.parameters, gradients: gradients)
      network.loss(
        batch.input, rows: batch.rows, as: batch.space, targets: batch.targets, on: tape)
      let term = tape.terms[0]
      term.seed = Float(1 / term.segmentWeights[0])
      tape.backward()
      let norm = gradients.norm(in: workspace)
      AdamW().update(
        &model.parameters, gradients, &state, gradientScale: Float(min(1, 1 / (norm + 1e-6))),
        rates: rates, in: workspace)
      let loss = term.segmentSums[0] / term.segmentWeights[0]
      worst = max(worst, abs(loss / Double(wanted) - 1))
    }
    print("\(family), \(with.0): losses of 100 steps within \(worst)")
    #expect(worst <= with.1)
  }

  @Test(arguments: families) func aCheckpointWrittenHereIsReadBackAndNamesItsClass(
    family: String
  ) throws {
    let (model, network) = try model(family)
    let folder = NSTemporaryDirectory() + "isogloss-masked-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let config = network.configuration.huggingFace(
      as: "ForMaskedLM", over: nil, labels: nil,
      specials: .init(start: 0, end: 2, padding: 1, unknown: 3, mask: 4))
    #expect(
      config.architectures == [family == "bert" ? "BertForMaskedLM" : "XLMRobertaForMaskedLM"])
    #expect(model.byteCount > 4 * network.layout.count)
  }
}
