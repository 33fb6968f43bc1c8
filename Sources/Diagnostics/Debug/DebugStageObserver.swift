import Collectives
import Configuration
import Corpus
import Foundation
import Model
import Tensors
import Training

/// Looks on while a rank trains a stage, as ``DebugObserver`` says.
final class DebugStageObserver<Task: TrainingTask>: StageObserver {
  private let observed: ObservedStage<Task>
  private let isDebug: Bool
  private let fault: Fault?
  private let replay: ReplayTarget?
  let step: StepWatch
  private let log: GradientLog?
  private let faulty: FaultyMethod<Task.Batch>?
  private var items: ArraySlice<ItemReference> = []
  private var place: ((ItemReference) -> (language: String, path: String, line: Int))?
  /// The batches of the rank's passes, in a debug run and in the step to stop at.
  private var batches: [Task.Batch] = []

  private var context: RunContext { observed.context }
  private var layout: ParameterLayout { observed.task.network.layout }
  private var rank: Int { context.communicator.rank }

  init(
    _ observed: ObservedStage<Task>, isDebug: Bool, fault: Fault?, replay: ReplayTarget?
  ) throws {
    self.observed = observed
    self.isDebug = isDebug
    self.fault = fault
    self.replay = replay
    let (context, workspace) = (observed.context, observed.context.workspace)
    let logs = context.configuration.logGradients || isDebug
    step = StepWatch(
      digest: logs || replay != nil
        ? GradientDigest(layout: observed.task.network.layout, kernels: workspace.kernels) : nil,
      checksOperations: isDebug)
    log =
      logs && replay == nil
      ? try GradientLog(
        stage: observed.directory,
        .init(
          rank: context.communicator.rank, ranks: context.communicator.size,
          numerics: NumericsID.of(workspace.kernels, workspace.precision),
          threads: workspace.threadCount)) : nil
    faulty = fault == nil ? nil : FaultyMethod(observed.task.method)
  }

  func method(_ own: any TrainingMethod<Task.Batch>) -> any TrainingMethod<Task.Batch> {
    faulty ?? own
  }

  // MARK: A step

  func willRun(
    step number: Int, items: ArraySlice<ItemReference>,
    place: @escaping (ItemReference) -> (language: String, path: String, line: Int),
    batches: () -> [Task.Batch]
  ) throws {
    self.items = items
    self.place = place
    faulty?.arm(fault?.kind(ofRank: rank, step: number))
    if !isDebug && replay?.step != number { return }
    self.batches = batches()
    if !isDebug { return }
    var problem: RunError?
    for batch in self.batches where problem == nil {
      guard let (message, item) = observed.task.problem(in: batch) else { continue }
      let place = item.map { " (\(text(of: batch.items[$0])))" } ?? ""
      problem = RunError(
        .data, "\(message)\(place), in the batch of rank \(rank) in \(name(number))")
    }
    try agree(on: problem)
  }

  func ran(step number: Int, _ outcome: StepOutcome) throws -> Bool {
    if let digest = step.digest {
      let line = GradientLog.Line(
        step: number, hash: digest.hash, losses: step.sums, norms: digest.norms)
      if let replay, replay.step == number {
        replay.set(
          .init(
            line: line, stepLosses: outcome.losses, stepNorm: outcome.gradientNorm,
            sentences: batches.flatMap(\.items).map(sentence)), ofRank: rank)
        return true
      }
      try log?.write(line)
    }
    if isDebug { try agree(on: problem(step: number)) }
    return false
  }

  func updated(
    step number: Int, _ parameters: inout ParameterSet,
    compare: (inout ParameterSet) throws -> Void
  ) throws {
    if fault?.kind(ofRank: rank, step: number) == .weight {
      parameters.update(entry: layout.tables.upperBound) { $0[0] += 1 }
    }
    if isDebug, replay == nil { try compare(&parameters) }
  }

  func ended(stepSeconds seconds: Double) {
    guard context.communicator.rank == 0, seconds > 0,
      let estimate = RunEstimate.saved(in: context.configuration.outputDirectory),
      let text = estimate.comparison(
        stage: observed.stage.name, ranks: context.communicator.size,
        threads: context.workspace.threadCount, seconds: seconds)
    else { return }
    context.reporter.line(text)
  }

  // MARK: Findings

  /// The first number of this rank that is not finite, as an error; nil if all are.
  private func problem(step number: Int) -> RunError? {
    if let finding = step.finding { return RunError(.notFinite, message(finding, step: number)) }
    guard let entry = step.digest?.norms.firstIndex(where: { !$0.isFinite }) else { return nil }
    return RunError(
      .notFinite,
      "the gradient of \(layout.entries[entry].name) on rank \(rank) is not finite, "
        + "though all operations were, in \(name(number)): look at the memory of that machine")
  }

  private func message(_ finding: TapeCheck.Finding, step number: Int) -> String {
    let value = "\(finding.value)"
    let parameter = finding.parameter ?? ""
    // Shapes are left out of operations' names.
    let operation = finding.operation.split(separator: " ")
      .filter { !$0.contains(where: \.isNumber) && !["→", "×"].contains($0) }
      .joined(separator: " ")
    var text: String
    switch finding.place {
    case .weight:
      text = "\(parameter) holds \(value) at [\(finding.row), \(finding.column)]"
    case .output: text = "\(operation) gave \(value)"
    case .gradient: text = "\(operation) gave the gradient \(value)"
    case .parameterGradient:
      text =
        "\(operation) gave \(parameter) the gradient \(value) at "
        + "[\(finding.row), \(finding.column)]"
    case .loss: text = "\(operation) gave the loss \(value)"
    }
    switch finding.place {
    case .output, .gradient:
      let part = parameter.isEmpty ? finding.scope : parameter
      if !part.isEmpty { text += " at \(part)" }
    case .parameterGradient, .weight, .loss: break
    }
    if let (key, token) = finding.item, Int(key) < items.count {
      let item = items[items.startIndex + Int(key)]
      text += ", for token \(token)\(description(ofToken: token, key)) of \(self.text(of: item))"
    } else if finding.place != .weight {
      let codes = Set(batches.flatMap(\.items).map(\.language)).sorted()
        .map { context.configuration.languages[$0].code }
      text +=
        ", over the \(batches.reduce(0) { $0 + $1.items.count }) sentences of the rank "
        + "(\(codes.joined(separator: ", ")))"
    }
    return text + ", on rank \(rank) in \(name(number)): the first number that is not finite"
  }

  private func description(ofToken token: UInt32, _ key: UInt32) -> String {
    for batch in batches {
      guard let item = batch.itemKeys.firstIndex(of: key) else { continue }
      return batch.description(ofToken: Int(token), item: item).map { " (\($0))" } ?? ""
    }
    return ""
  }

  /// Lets all ranks know what one of them has found, and throws it on all: of several that of the lowest rank.
  private func agree(on problem: RunError?) throws {
    let communicator = context.communicator
    let found = try communicator.allGather([Int64(problem == nil ? 0 : 1)])
    guard let first = found.firstIndex(where: { $0[0] == 1 }) else { return }
    var count = [Int64(problem?.message.utf8.count ?? 0), problem?.code == .data ? 1 : 0]
    try communicator.broadcast(&count, from: first)
    var bytes =
      rank == first
      ? Array((problem?.message ?? "").utf8) : [UInt8](repeating: 0, count: Int(count[0]))
    try communicator.broadcast(&bytes, from: first)
    throw RunError(count[1] == 1 ? .data : .notFinite, String(decoding: bytes, as: UTF8.self))
  }

  // MARK: Names

  private func name(_ number: Int) -> String { "step \(number) of stage '\(observed.stage.name)'" }

  private func text(of item: ItemReference) -> String {
    let sentence = sentence(of: item)
    return "\(sentence.path):\(sentence.line) (\(sentence.language))"
  }

  private func sentence(of item: ItemReference) -> ReplayedStep.Sentence {
    let place = place?(item) ?? ("", "", 0)
    return .init(language: place.0, path: place.1, line: place.2)
  }
}
