import Checkpoints
import Corpus
import Files
import Foundation
import Model
import Tensors
import TestSupport
import Testing
import Training

/// Hidden states, logits, losses and gradients of tiny models against `transformers`, from checkpoints that it
/// saved. `python3 Tests/Golden/model.py Tests/ModelTests/Fixtures` makes the files.
@Suite struct TransformersTests {
  static let families = ["bert", "roberta", "xlm-roberta"]
  let workspace = Workspace(kernels: .forTests, threadCount: 2)

  struct Expected {
    let file: SafetensorsFile

    init(_ family: String) throws {
      file = try SafetensorsFile(fixture("expected-\(family).safetensors"))
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

  private func model(
    _ directory: String, withHead: Bool = true, mapping: WeightMapping = .none
  ) throws -> TrainedModel {
    try self.model(inFolder: fixture(directory), withHead: withHead, mapping: mapping)
  }

  private func model(
    inFolder directory: String, withHead: Bool = true, mapping: WeightMapping
  ) throws -> TrainedModel {
    let config = try HuggingFaceConfig(directory: directory)
    let encoder = try EncoderConfiguration(config, path: directory)
    let classifier = TokenClassifier(encoder, head: .softmax, labelCounts: [3])
    var model = TrainedModel(
      network: classifier, parameters: ParameterSet(layout: classifier.layout))
    _ = try model.readWeights(directory: directory, needsHeads: withHead, mapping: mapping)
    return model
  }

  private func input(_ expected: Expected) throws -> EncoderInput {
    let ids = try expected.integers("ids")
    let bounds = try expected.integers("bounds").map(Int.init)
    return EncoderInput(
      space: RowSpace(segmentBounds: [0, ids.count]), tokenIDs: ids,
      positions: bounds.indices.dropLast().flatMap { index in
        (0..<bounds[index + 1] - bounds[index]).map { Int32($0) }
      }, tokenTypes: try expected.integers("types"), sequenceBounds: bounds)
  }

  private func expectClose(
    _ found: [Float], _ wanted: [Float], _ tolerance: Float, _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(found.count == wanted.count, sourceLocation: sourceLocation)
    let difference = zip(found, wanted).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
    #expect(difference <= tolerance, "\(what): \(difference)", sourceLocation: sourceLocation)
  }

  @Test(arguments: families) func everyLayerTheLossAndEveryGradientAgree(family: String) throws {
    let expected = try Expected(family)
    let model = try model(family)
    let gradients = GradientBuffer(layout: model.classifier.layout)
    let tape = Tape(
      workspace: workspace, parameters: model.parameters, gradients: gradients)
    let input = try input(expected)
    let states = model.classifier.encoder.hiddenStates(input, on: tape)
    // Two layers of sums of at most 24 products of numbers of size one, in fp32.
    for (layer, state) in states.enumerated() {
      // The input of a normalisation is overwritten, its output is not.
      expectClose(
        state.array, try expected.floats("hidden.\(layer)"), 2e-5, "hidden state \(layer)")
    }
    let logits = model.classifier.heads[0].logits(states[2], on: tape)
    expectClose(logits.array, try expected.floats("logits"), 2e-5, "logits")
    let labels = try expected.integers("labels")
    model.classifier.heads[0].loss(
      logits, targets: labels, sentenceBounds: input.sequenceBounds, labelSmoothing: 0, on: tape)
    let term = tape.terms[0]
    let weight = term.segmentWeights[0]
    #expect(weight == Double(try expected.floats("weight")[0]))
    #expect(abs(term.segmentSums[0] / weight - Double(try expected.floats("loss")[0])) < 2e-6)
    term.seed = Float(1 / weight)
    tape.backward()
    var largest: Float = 0
    for tensor in expected.file.tensors where tensor.name.hasPrefix("grad.") {
      largest = max(largest, try expected.floats(tensor.name).reduce(0) { max($0, abs($1)) })
    }
    for (entry, place) in model.classifier.layout.entries.enumerated() {
      let wanted = try expected.floats("grad.\(model.classifier.fileName(ofEntry: entry))")
      let found = gradients.read(entry: entry) { span in span.indices.map { span[$0] } }
      let own = wanted.reduce(Float(0)) { max($0, abs($1)) }
      expectClose(found, wanted, 1e-4 * max(own, 1e-3 * largest), place.name)
    }
  }

  @Test(arguments: [
    ("bert-sharded", "logits"), ("bert-bf16", "bf16.logits"), ("bert-fp16", "fp16.logits"),
  ])
  func otherStorageGivesItsLogits(directory: String, tensor: String) throws {
    let expected = try Expected("bert")
    let model = try model(directory)
    let tape = Tape(workspace: workspace, parameters: model.parameters)
    let states = model.classifier.encoder.hiddenStates(try input(expected), on: tape)
    let logits = model.classifier.heads[0].logits(states[2], on: tape)
    expectClose(logits.array, try expected.floats(tensor), 2e-5, directory)
  }

  /// Weights that stay in their files, sharded or not, give what copies of them give, bit for bit; those that are no fp32 are
  /// copied all the same.
  @Test(
    arguments: families + ["bert-sharded", "bert-bf16", "bert-fp16"], [WeightMapping.table, .all])
  func mappedWeightsAreTheCopies(directory: String, mapping: WeightMapping) throws {
    let input = try input(Expected(directory.hasPrefix("bert") ? "bert" : directory))
    let copied = try model(directory)
    let mapped = try model(directory, mapping: mapping)
    let logits = [copied, mapped].map { model in
      let tape = Tape(workspace: workspace, parameters: model.parameters)
      let states = model.classifier.encoder.hiddenStates(input, on: tape)
      return model.classifier.heads[0].logits(states[2], on: tape).array.map(\.bitPattern)
    }
    #expect(logits[0] == logits[1])
    #expect(mapped.parameters.hash == copied.parameters.hash)
  }

  /// What is mapped is read from the file as it is now, what is copied as it was; and that a file was written to is told.
  @Test func whatIsMappedStaysInItsFile() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "mapped-\(UUID())").path
    try FileManager.default.copyItem(atPath: fixture("bert-sharded"), toPath: folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let names = [
      "embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.weight",
      "encoder.layer.1.output.dense.weight",
    ]
    let models = try [WeightMapping.none, .all].map { try model(inFolder: folder, mapping: $0) }
    let weights = try CheckpointWeights(directory: folder)
    #expect(weights.files.count == 3)
    func first(_ name: String, of model: TrainedModel) throws -> Float {
      let entry = try #require(model.network.layout.index(of: name))
      return model.parameters.read(entry: entry) { $0[0] }
    }
    let before = try names.map { try first($0, of: models[0]) }
    for name in names {
      let file = try weights.file(of: "bert." + name)
      let place = try #require(file["bert." + name]).byteRange.lowerBound
      let handle = try #require(FileHandle(forWritingAtPath: file.path))
      try handle.seek(toOffset: UInt64(place))
      try handle.write(contentsOf: Data([0, 0, 0x28, 0x42]))  // 42, as fp32
      try handle.close()
    }
    let after = try models.map { model in try names.map { try first($0, of: model) } }
    #expect(after[0] == before)
    #expect(after[1] == [42, before[1], 42])
    try models[0].confirmUnwritten()
    #expect(throws: FileError.self) { try models[1].confirmUnwritten() }
  }

  @Test func anEncoderWithoutPrefixIsRead() throws {
    let expected = try Expected("bert")
    let model = try model("bert-base", withHead: false)
    let tape = Tape(workspace: workspace, parameters: model.parameters)
    let states = model.classifier.encoder.hiddenStates(try input(expected), on: tape)
    expectClose(states[2].array, try expected.floats("hidden.2"), 2e-5, "hidden states")
  }

  @Test func aModelWithoutItsHeadIsRefusedByName() throws {
    #expect {
      _ = try model("bert-base")
    } throws: { error in
      "\(error)".contains("classifier.weight")
    }
  }

  @Test func segmentsDoNotChangeTheGradientByMoreThanRounding() throws {
    let expected = try Expected("bert")
    let model = try model("bert")
    var found: [[Float]] = []
    for bounds in [[0, 27], [0, 5, 6, 15, 27]] {
      let gradients = GradientBuffer(layout: model.classifier.layout)
      let tape = Tape(
        workspace: workspace, parameters: model.parameters, gradients: gradients)
      var input = try input(expected)
      input.space = RowSpace(segmentBounds: bounds)
      let states = model.classifier.encoder.hiddenStates(input, on: tape)
      let logits = model.classifier.heads[0].logits(states[2], on: tape)
      model.classifier.heads[0].loss(
        logits, targets: try expected.integers("labels"), sentenceBounds: input.sequenceBounds,
        labelSmoothing: 0, on: tape)
      tape.terms[0].seed = 1
      tape.backward()
      found.append(gradients.storage.withSpan { span in span.indices.map { span[$0] } })
    }
    let largest = found[0].reduce(Float(0)) { max($0, abs($1)) }
    expectClose(found[1], found[0], 1e-5 * largest, "gradient")
  }
}
