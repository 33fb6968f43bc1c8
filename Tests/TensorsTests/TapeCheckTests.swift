import Tensors
import Testing

/// What a check of a tape finds, and where.
@Suite struct TapeCheckTests {
  /// A linear layer `[2, 3]`, then a weighted sum of its outputs, with its weights and the sum's as given.
  private func finding(
    weight: [Float], bias: Float = 0, input: [Float], factor: Float, isGELU: Bool = false
  ) throws -> TapeCheck.Finding? {
    let workspace = Workspace(kernels: try .chosen(), threadCount: 1)
    defer { workspace.stop() }
    var layout = ParameterLayout()
    let linear = layout.add("layer.weight", 2, 3)
    let shift = layout.add("layer.bias", 2)
    var parameters = ParameterSet(layout: layout)
    parameters.update(entry: 0) { span in for index in 0..<6 { span[index] = weight[index] } }
    parameters.update(entry: 1) { $0[1] = bias }
    let gradients = GradientBuffer(layout: layout)
    gradients.reset()
    let tape = Tape(workspace: workspace, parameters: parameters, gradients: gradients)
    let check = TapeCheck()
    tape.check = check
    let space = RowSpace(segmentBounds: [0, 2], items: [7, 9], tokens: [0, 4])
    let x = tape.constant(input, in: space, columns: 3, needsGradient: true)
    let y = tape.within("part") {
      tape.within("inner") { tape.linear(x, linear, shift, activation: isGELU ? .gelu : .none) }
    }
    let term = tape.weightedSum(y, weights: [Float](repeating: factor, count: 4))
    term.seed = 1
    tape.backward()
    return check.finding
  }

  private let ones = [Float](repeating: 1, count: 6)

  @Test func finiteNumbersAreNoFinding() throws {
    #expect(try finding(weight: ones, input: ones, factor: 1) == nil)
  }

  @Test(arguments: [Float.nan, .infinity]) func aWeightIsFoundBeforeItIsUsed(value: Float) throws {
    var weight = ones
    weight[4] = value
    let found = try #require(try finding(weight: weight, input: ones, factor: 1))
    #expect(found.place == .weight && found.parameter == "layer.weight")
    #expect(found.row == 1 && found.column == 1 && found.scope == "part.inner")
    let shift = try #require(try finding(weight: ones, bias: value, input: ones, factor: 1))
    #expect(shift.place == .weight && shift.parameter == "layer.bias" && shift.column == 1)
  }

  @Test(arguments: [false, true]) func anOutputNamesItsRow(isGELU: Bool) throws {
    var input = ones
    input[3] = 3e38
    let found = try #require(
      try finding(
        weight: [1, 1, 1, 2, 1, 1], input: input, factor: 1, isGELU: isGELU))
    #expect(found.place == .output && found.operation.hasPrefix("linear"))
    #expect(found.parameter == "layer.weight" && found.scope == "part.inner")
    #expect(found.row == 1 && found.column == 1)
    #expect(found.item?.key == 9 && found.item?.token == 4)
  }

  @Test func aGradientNamesItsOperation() throws {
    let found = try #require(
      try finding(weight: ones.map { $0 * 1e20 }, input: ones, factor: 1e20))
    #expect(found.place == .gradient && found.operation.hasSuffix(" backward"))
    #expect(found.scope == "part.inner" && found.row == 0 && found.item?.key == 7)
    // That of a weight alone, which is over all rows.
    let sum = try #require(
      try finding(weight: ones, input: ones.map { $0 * 1e20 }, factor: 1e20))
    #expect(sum.place == .parameterGradient && sum.parameter == "layer.weight")
    #expect(sum.item == nil)
  }
}
