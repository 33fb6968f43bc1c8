import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

private struct State: Codable, Equatable {
  var step: Int
  var seed: UInt64
  var best: Double
  var loss: Float
  var history: [Double]
  var stage: String?
}

@Test func stateReadsBackToTheBit() throws {
  let directory = try TemporaryDirectory()
  let path = directory.file("trainer_state.json")
  let state = State(
    step: .max, seed: .max, best: 0.1 + 0.2, loss: .leastNonzeroMagnitude,
    history: [.leastNonzeroMagnitude, .greatestFiniteMagnitude, 1.0 / 3, -0.0, 1e-12],
    stage: "fine-tune \"é\"/\n")
  try RunState.write(state, to: path)
  let read = try RunState.read(State.self, from: path)
  #expect(read == state)
  #expect(read.history.map(\.bitPattern) == state.history.map(\.bitPattern))
}

@Test(
  arguments: [
    ("{\"step\": 1}", "seed"), ("{\"step\": \"1\"}", "step"), ("{\"step\": 1.5}", nil),
    ("{\"step\": 1, \"step\": 2}", "step"), ("{\"step\"", nil), ("", nil),
  ] as [(String, String?)])
func stateThatLiesIsRefusedByKey(text: String, field: String?) throws {
  let directory = try TemporaryDirectory()
  try directory.write(text, to: "s")
  let path = directory.file("s")
  let error = checkpointError { () throws(FileError) in
    try RunState.read(State.self, from: path)
  }
  #expect(error?.code == .data)
  #expect(error?.field == field)
}

@Test func numberThatIsNotFiniteIsNotWritten() throws {
  let directory = try TemporaryDirectory()
  let path = directory.file("s")
  let error = checkpointError { () throws(FileError) in
    try RunState.write(["loss": Double.nan], to: path)
  }
  #expect(error?.field == "loss")
  #expect(try directory.names() == [])
}
