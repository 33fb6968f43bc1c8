import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

/// Values and gradients of every operation from PyTorch: `Fixtures/ops.safetensors`, which
/// `python3 Tests/Golden/ops.py Tests/TensorsTests/Fixtures/ops.safetensors` makes.
@Suite struct GoldenTests {
  let golden: SafetensorsFile
  let workspace = Workspace(kernels: .forTests, threadCount: 2)

  init() throws {
    golden = try SafetensorsFile(fixture("ops.safetensors"))
  }

  private func floats(_ name: String) throws -> [Float] {
    var values = [Float](repeating: 0, count: try #require(golden[name]).count)
    var span = values.mutableSpan
    try golden.read(name, into: &span)
    return values
  }

  private func integers(_ name: String) throws -> [Int32] {
    var values = [Int32](repeating: 0, count: try #require(golden[name]).count)
    var span = values.mutableSpan
    try golden.readExactly(name, into: &span)
    return values
  }

  private func expectClose(
    _ found: [Float]?, _ name: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let wanted = try floats(name)
    let found = try #require(found, sourceLocation: sourceLocation)
    #expect(found.count == wanted.count, sourceLocation: sourceLocation)
    let largest = wanted.reduce(Float(1)) { max($0, abs($1)) }
    for (index, (value, wanted)) in zip(found, wanted).enumerated() {
      // Stored values are exact to half an ulp; ours are sums of at most 64 products in fp32.
      #expect(
        abs(value - wanted) <= 1e-5 * largest, "\(name)[\(index)]: \(value) for \(wanted)",
        sourceLocation: sourceLocation)
    }
  }

  /// Runs `body` on a tape over parameters of the given names, and the backward pass from `dout`.
  private func run(
    _ operation: String, parameters: [(String, [Int])], dout: String = "dout",
    _ body: (Tape, [Parameter]) throws -> Tensor
  ) throws -> (output: [Float], gradients: [[Float]], tape: Tape) {
    var layout = ParameterLayout()
    let handles = parameters.map { name, shape in
      shape.count == 1 ? layout.add(name, shape[0]) : layout.add(name, shape[0], shape[1])
    }
    var set = ParameterSet(layout: layout)
    for (index, (name, _)) in parameters.enumerated() {
      let values = try floats("\(operation).\(name)")
      set.update(entry: index) { span in for i in span.indices { span[i] = values[i] } }
    }
    let gradients = GradientBuffer(layout: layout)
    let tape = Tape(workspace: workspace, parameters: set, gradients: gradients)
    let output = try body(tape, handles)
    let values = output.array
    tape.weightedSum(output, weights: try floats("\(operation).\(dout)")).seed = 1
    tape.backward()
    return (
      values,
      handles.indices.map { index in
        gradients.read(entry: index) { span in span.indices.map { span[$0] } }
      }, tape
    )
  }

  private func space(_ rows: Int) -> RowSpace { RowSpace(segmentBounds: [0, rows]) }

  @Test func linear() throws {
    var x: Tensor?
    let (output, gradients, tape) = try run("linear", parameters: [("w", [40, 24]), ("b", [40])]) {
      let input = $0.constant(
        try floats("linear.x"), in: space(13), columns: 24, needsGradient: true)
      x = input
      return $0.linear(input, $1[0], $1[1])
    }
    try expectClose(output, "linear.out")
    try expectClose(tape.gradient(of: #require(x)), "linear.dx")
    try expectClose(gradients[0], "linear.dw")
    try expectClose(gradients[1], "linear.db")
  }

  @Test(arguments: ["gelu", "tanh"]) func elementwise(name: String) throws {
    var x: Tensor?
    let (output, _, tape) = try run(name, parameters: []) { tape, _ in
      let input = tape.constant(
        try floats("\(name).x"), in: space(8), columns: 64, needsGradient: true)
      x = input
      return name == "gelu" ? tape.gelu(input) : tape.tanh(input)
    }
    try expectClose(output, "\(name).out")
    try expectClose(tape.gradient(of: #require(x)), "\(name).dx")
  }

  @Test(arguments: ["1e-12", "1e-5"]) func layerNorm(epsilon: String) throws {
    var inputs: [Tensor] = []
    var layout = ParameterLayout()
    let bias = layout.add("bias", 16)
    let scale = layout.add("gamma", 16)
    let shift = layout.add("beta", 16)
    var set = ParameterSet(layout: layout)
    for (entry, name) in [(1, "gamma"), (2, "beta")] {
      let values = try floats("layernorm.\(name)")
      set.update(entry: entry) { span in for i in span.indices { span[i] = values[i] } }
    }
    let gradients = GradientBuffer(layout: layout)
    let tape = Tape(workspace: workspace, parameters: set, gradients: gradients)
    for name in ["x", "residual"] {
      inputs.append(
        tape.constant(
          try floats("layernorm.\(name)"), in: space(9), columns: 16, needsGradient: true))
    }
    let output = tape.layerNorm(
      inputs[0], bias: bias, residual: inputs[1],
      LayerNormParameters(scale: scale, shift: shift, epsilon: try #require(Float(epsilon))))
    let found = output.array
    tape.weightedSum(output, weights: try floats("layernorm.dout")).seed = 1
    tape.backward()
    // Row 3 is constant: PyTorch's 1/√ε there makes a gradient that no two summation orders share.
    let rows = (0..<9).filter { $0 != 3 }
    func without3(_ values: [Float]) -> [Float] {
      rows.flatMap { Array(values[$0 * 16..<($0 + 1) * 16]) }
    }
    func expectRows(_ found: [Float]?, _ name: String, tolerance: Float) throws {
      for (value, wanted) in zip(without3(try #require(found)), without3(try floats(name))) {
        #expect(abs(value - wanted) <= tolerance * max(1, abs(wanted)), "\(name)")
      }
    }
    // Row 4 has a mean of 100: its sums keep 17 bits behind the point.
    try expectRows(found, "layernorm.out.\(epsilon)", tolerance: 2e-4)
    try expectRows(tape.gradient(of: inputs[0]), "layernorm.dx.\(epsilon)", tolerance: 2e-4)
    try expectRows(tape.gradient(of: inputs[1]), "layernorm.dx.\(epsilon)", tolerance: 2e-4)
    let shiftGradient = gradients.read(entry: 2) { span in span.indices.map { span[$0] } }
    try expectClose(shiftGradient, "layernorm.dbeta.\(epsilon)")
  }

  @Test func embedding() throws {
    let (ids, positions) = (try integers("embedding.ids"), try integers("embedding.positions"))
    let types = try integers("embedding.types")
    let (output, gradients, _) = try run(
      "embedding", parameters: [("word", [50, 16]), ("position", [12, 16]), ("type", [2, 16])]
    ) { tape, p in
      tape.embed([(p[0], ids), (p[1], positions), (p[2], types)], in: space(20))
    }
    try expectClose(output, "embedding.out")
    for (index, name) in ["dword", "dposition", "dtype"].enumerated() {
      try expectClose(gradients[index], "embedding.\(name)")
    }
  }

  @Test func attention() throws {
    var x: Tensor?
    let bounds = try integers("attention.bounds").map(Int.init)
    let (output, _, tape) = try run("attention", parameters: []) { tape, _ in
      let input = tape.constant(
        try floats("attention.qkv"), in: space(20), columns: 96, needsGradient: true)
      x = input
      return tape.attention(input, heads: 4, sequenceBounds: bounds)
    }
    try expectClose(output, "attention.out")
    try expectClose(tape.gradient(of: #require(x)), "attention.dqkv")
  }

  @Test(arguments: ["0", "0.1"]) func crossEntropy(smoothing: String) throws {
    var layout = ParameterLayout()
    _ = layout.add("unused", 1)
    let gradients = GradientBuffer(layout: layout)
    let tape = Tape(
      workspace: workspace, parameters: ParameterSet(layout: layout), gradients: gradients)
    let logits = tape.constant(
      try floats("crossentropy.logits"), in: space(14), columns: 5, needsGradient: true)
    let term = tape.crossEntropy(
      logits, targets: try integers("crossentropy.labels"),
      smoothing: try #require(Float(smoothing)))
    term.seed = 1
    tape.backward()
    #expect(term.segmentWeights.map { Float($0) } == (try floats("crossentropy.weight")))
    try expectClose(term.segmentSums.map { Float($0) }, "crossentropy.loss.\(smoothing)")
    try expectClose(tape.gradient(of: logits), "crossentropy.dlogits.\(smoothing)")
  }

  @Test func conditionalRandomField() throws {
    let names = ["start", "end", "transitions"]
    var layout = ParameterLayout()
    let crf = CRFParameters(
      start: layout.add("start", 5), end: layout.add("end", 5),
      transitions: layout.add("transitions", 5, 5))
    var set = ParameterSet(layout: layout)
    for (entry, name) in names.enumerated() {
      let values = try floats("crf.\(name)")
      set.update(entry: entry) { span in for i in span.indices { span[i] = values[i] } }
    }
    let gradients = GradientBuffer(layout: layout)
    let tape = Tape(workspace: workspace, parameters: set, gradients: gradients)
    let bounds = try integers("crf.bounds").map(Int.init)
    let emissions = tape.constant(
      try floats("crf.emissions"), in: space(11), columns: 5, needsGradient: true)
    let term = tape.conditionalRandomField(
      emissions, targets: try integers("crf.labels"), sentenceBounds: bounds, crf)
    #expect(
      tape.viterbi(emissions, sentenceBounds: bounds, crf) == (try integers("crf.viterbi")))
    term.seed = 1
    tape.backward()
    try expectClose(term.segmentSums.map { Float($0) }, "crf.loss")
    try expectClose(tape.gradient(of: emissions), "crf.demissions")
    for (entry, name) in names.enumerated() {
      let found = gradients.read(entry: entry) { span in span.indices.map { span[$0] } }
      try expectClose(found, "crf.d\(name)")
    }
  }

  /// Two layers of two directions, as one `nn.LSTM` over packed sequences, on every table.
  @Test(arguments: KernelTable.runnable) func lstm(table: KernelTable) throws {
    let workspace = Workspace(kernels: table, threadCount: 2)
    defer { workspace.stop() }
    let bounds = try integers("lstm.bounds").map(Int.init)
    var layout = ParameterLayout()
    var names: [String] = []
    let layers = ["0", "1"].map { layer in
      [layer, layer + "r"].map { key in
        names += ["w.\(key)", "u.\(key)", "b.\(key)"]
        return LSTMParameters(
          input: layout.add("w.\(key)", 24, layer == "0" ? 10 : 12),
          hidden: layout.add("u.\(key)", 24, 6), bias: layout.add("b.\(key)", 24))
      }
    }
    var set = ParameterSet(layout: layout)
    for (entry, name) in names.enumerated() {
      let values = try floats("lstm.\(name)")
      set.update(entry: entry) { span in for i in span.indices { span[i] = values[i] } }
    }
    let gradients = GradientBuffer(layout: layout)
    let tape = Tape(workspace: workspace, parameters: set, gradients: gradients)
    let x = tape.constant(
      try floats("lstm.x"), in: space(16), columns: 10, needsGradient: true)
    var states = x
    var initial: [(name: String, tensor: Tensor)] = []
    for (layer, directions) in layers.enumerated() {
      let begin = try ["h0", "c0"].map { name in
        let tensor = tape.constant(
          try floats("lstm.\(name).\(layer)"), in: space(4), columns: 12, needsGradient: true)
        initial.append(("d\(name).\(layer)", tensor))
        return tensor
      }
      let found = tape.lstm(
        states, directions, sequenceBounds: bounds, in: space(4), initial: (begin[0], begin[1]))
      try expectClose(found.last.array, "lstm.hn.\(layer)")
      try expectClose(found.lastCells.array, "lstm.cn.\(layer)")
      tape.weightedSum(found.last, weights: try floats("lstm.dhn.\(layer)")).seed = 1
      tape.weightedSum(found.lastCells, weights: try floats("lstm.dcn.\(layer)")).seed = 1
      states = found.all
    }
    try expectClose(states.array, "lstm.out")
    tape.weightedSum(states, weights: try floats("lstm.dout")).seed = 1
    tape.backward()
    try expectClose(tape.gradient(of: x), "lstm.dx")
    for (name, tensor) in initial { try expectClose(tape.gradient(of: tensor), "lstm.\(name)") }
    for (entry, name) in names.enumerated() {
      let found = gradients.read(entry: entry) { span in span.indices.map { span[$0] } }
      try expectClose(found, "lstm.d\(name)")
    }
  }

  @Test(arguments: ["0", "0.01"]) func adamW(decay: String) throws {
    let settings = try floats("adamw.settings").map(Double.init)
    // The settings were rounded to fp32 on their way here.
    let optimiser = AdamW(
      beta1: (settings[1] * 1e4).rounded() / 1e4, beta2: (settings[2] * 1e4).rounded() / 1e4,
      epsilon: (settings[3] * 1e10).rounded() / 1e10)
    let rate = (settings[0] * 1e7).rounded() / 1e7
    let count = 37
    var layout = ParameterLayout()
    _ = layout.add("p", count)
    var set = ParameterSet(layout: layout)
    let start = try floats("adamw.p0")
    set.update(entry: 0) { span in for i in span.indices { span[i] = start[i] } }
    var state = OptimiserState(.adamW(AdamW()), layout: layout)
    let gradients = GradientBuffer(layout: layout)
    let all = try floats("adamw.gradients")
    let norms = try floats("adamw.norms")
    let wanted = try floats("adamw.p.\(decay)")
    for step in 0..<30 {
      gradients.storage.withMutableSpan { span in
        for i in span.indices { span[i] = all[step * count + i] }
      }
      let norm = gradients.norm(in: workspace)
      #expect(abs(norm - Double(norms[step])) <= 2e-6 * norm)
      optimiser.update(
        &set, gradients, &state, gradientScale: Float(min(1, 1 / (norm + 1e-6))),
        rates: [(rate, try #require(Double(decay)))], in: workspace)
      let found = set.read(entry: 0) { span in span.indices.map { span[$0] } }
      for i in 0..<count {
        // Two ulps a step of the moved amount (a rate), and of the weight itself.
        let value = wanted[step * count + i]
        let ulps = Float(step + 1) * (2 * value.ulp)
        #expect(abs(found[i] - value) <= ulps, "step \(step), element \(i)")
      }
    }
  }
}
