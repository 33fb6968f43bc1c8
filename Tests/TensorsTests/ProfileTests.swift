import Foundation
import Tensors
import Testing

/// What a profile counts, and that measuring changes no result.
@Suite struct ProfileTests {
  private func step(_ workspace: Workspace) -> [Float] {
    var layout = ParameterLayout()
    let weight = layout.add("weight", 24, 16)
    var set = ParameterSet(layout: layout)
    set.update(entry: 0) { span in for i in span.indices { span[i] = Float(i % 11) * 0.1 } }
    let gradients = GradientBuffer(layout: layout)
    let tape = Tape(workspace: workspace, parameters: set, gradients: gradients)
    let x = tape.constant(
      (0..<320).map { Float($0 % 7) * 0.2 }, in: RowSpace(segmentBounds: [0, 20]), columns: 16,
      needsGradient: true)
    tape.crossEntropy(tape.linear(x, weight), targets: (0..<20).map { Int32($0 % 24) }).seed = 1
    tape.backward()
    return gradients.read(entry: 0) { span in span.indices.map { span[$0] } }
  }

  @Test func operationsAreCountedAndResultsStay() throws {
    let workspace = Workspace(kernels: .best, threadCount: 2)
    defer { workspace.stop() }
    let plain = step(workspace)
    let profile = Profile()
    workspace.profile = profile
    #expect(step(workspace) == plain && step(workspace) == plain)
    workspace.profile = nil
    #expect(step(workspace) == plain)

    let forward = try #require(profile.rows.first { $0.name == "linear 16 → 24" })
    #expect(forward.calls == 2 && forward.flops == 2 * 2 * 20 * 16 * 24 && forward.seconds > 0)
    let backward = try #require(profile.rows.first { $0.name == "linear 16 → 24 backward" })
    #expect(backward.calls == 2 && backward.flops == 2 * forward.flops)
    #expect(profile.rows.contains { $0.name == "cross-entropy backward" })

    let trace = try JSONSerialization.jsonObject(
      with: try JSONEncoder().encode(profile.traceEvents(process: 3, name: "rank 3")))
    let all = try #require(trace as? [[String: Any]])
    #expect(all.first?["ph"] as? String == "M")
    let events = all.dropFirst()
    #expect(events.count == profile.rows.reduce(0) { $0 + $1.calls })
    #expect(events.allSatisfy { $0["ph"] as? String == "X" && $0["pid"] as? Int == 3 })
  }
}
