import Collectives
import Configuration
import Corpus
import Foundation
import Model
import Tensors

/// What a run does beside training, to be looked into.
public struct RunChecks: Sendable {
  /// Whether everything is checked: batches, operations, gradients, and the weights of all ranks in every step.
  public var isDebug = false
  public var fault: Fault?
  /// A step to stop at, of a run that is done again; such a run writes nothing.
  var replay: ReplayTarget?

  public init(isDebug: Bool = false, fault: Fault? = nil) {
    self.isDebug = isDebug
    self.fault = fault
  }
}

/// Looks on while a rank trains a stage: checks, the log of gradients, faults made on purpose, a step done again.
///
/// Nothing it does changes a weight, but for a fault that is asked for.
final class StageWatch {
  private let context: RunContext
  private let stage: Stage
  private let network: any Network
  private let labelCounts: [Int]
  private var feed: (any StageFeed)?
  let step: StepWatch
  private let log: GradientLog?
  private var items: ArraySlice<SentenceReference> = []
  /// The batches of the rank's passes, in a debug run and in the step to stop at.
  private var batches: [PackedBatch] = []

  private var checks: RunChecks { context.checks }
  private var rank: Int { context.communicator.rank }

  /// - Parameters:
  ///   - labelCounts: The labels that each language's words can have.
  ///   - directory: The stage's, where the log goes.
  init(
    _ context: RunContext, _ stage: Stage, _ network: any Network, labelCounts: [Int],
    directory: String
  ) throws {
    self.context = context
    self.stage = stage
    self.network = network
    self.labelCounts = labelCounts
    let workspace = context.workspace
    let logs = context.configuration.logGradients || context.checks.isDebug
    let isReplay = context.checks.replay != nil
    step = StepWatch(
      digest: logs || isReplay
        ? GradientDigest(layout: network.layout, kernels: workspace.kernels) : nil,
      checksOperations: context.checks.isDebug)
    log =
      logs && !isReplay
      ? try GradientLog(
        stage: directory,
        .init(
          rank: context.communicator.rank, ranks: context.communicator.size,
          numerics: NumericsID.of(workspace.kernels, workspace.precision),
          threads: workspace.threadCount)) : nil
  }

  // MARK: A step

  /// Before a step, counted from 1, of which `batches` gives the rank's passes.
  func willRun(
    step number: Int, _ items: ArraySlice<SentenceReference>, _ feed: any StageFeed,
    _ batches: () -> [PackedBatch]
  ) throws {
    self.feed = feed
    step.fault = checks.fault?.kind(ofRank: rank, step: number)
    self.items = items
    let isLast = checks.replay?.step == number
    if !checks.isDebug && !isLast { return }
    self.batches = batches()
    if !checks.isDebug { return }
    var problem: RunError?
    for batch in self.batches where problem == nil {
      guard let (message, item) = batch.problem(network.limits, labelCounts: labelCounts) else {
        continue
      }
      let place = item.map { " (\(self.place(of: batch.sentences[$0])))" } ?? ""
      problem = RunError(
        .data, "\(message)\(place), in the batch of rank \(rank) in \(self.name(number))")
    }
    try agree(on: problem)
  }

  /// After a step's gradient, before its update. True in the step to stop at.
  func ran(step number: Int, _ outcome: StepOutcome) throws -> Bool {
    if let digest = step.digest {
      let line = GradientLog.Line(
        step: number, hash: digest.hash, losses: step.sums, norms: digest.norms)
      if let replay = checks.replay, replay.step == number {
        replay.set(
          .init(
            line: line, stepLosses: outcome.losses, stepNorm: outcome.gradientNorm,
            sentences: batches.flatMap(\.sentences).map { sentence(of: $0) }), ofRank: rank)
        return true
      }
      try log?.write(line)
    }
    if checks.isDebug { try agree(on: problem(step: number)) }
    return false
  }

  /// After a step's update.
  ///
  /// - Parameter complete: Makes the weights here those that other ranks have updated.
  func updated(
    step number: Int, _ parameters: inout ParameterSet, rowsInUse: [RowSet],
    complete: (inout ParameterSet) throws -> Void
  ) throws {
    if step.fault == .weight {
      let entry = network.layout.tables.upperBound
      parameters.update(entry: entry) { $0[0] += 1 }
    }
    let every = checks.isDebug ? 1 : context.configuration.replicaCheckSteps
    guard every > 0, number.isMultiple(of: every), context.communicator.size > 1,
      checks.replay == nil
    else { return }
    try complete(&parameters)
    try ReplicaCheck.run(
      parameters, rowsInUse: rowsInUse, over: context.communicator, in: context.workspace,
      place: "after \(name(number))")
  }

  // MARK: Findings

  /// The first number of this rank that is not finite, told; nil if all are.
  private func problem(step number: Int) -> RunError? {
    if let finding = step.finding { return RunError(.notFinite, message(finding, step: number)) }
    guard let entry = step.digest?.norms.firstIndex(where: { !$0.isFinite }) else { return nil }
    return RunError(
      .notFinite,
      "the gradient of \(network.layout.entries[entry].name) on rank \(rank) is not finite, "
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
      text += ", for token \(token)\(id(of: token, key)) of \(place(of: item))"
    } else if finding.place != .weight {
      let codes = Set(batches.flatMap(\.sentences).map(\.language)).sorted()
        .map { context.codes[$0] }
      text +=
        ", over the \(batches.reduce(0) { $0 + $1.itemCount }) sentences of the rank "
        + "(\(codes.joined(separator: ", ")))"
    }
    return text + ", on rank \(rank) in \(name(number)): the first number that is not finite"
  }

  private func id(of token: UInt32, _ key: UInt32) -> String {
    for batch in batches {
      guard let item = batch.itemKeys.firstIndex(of: key) else { continue }
      let place = batch.sequenceBounds[batch.itemBounds[item]] + Int(token)
      if place < batch.tokenCount { return " (id \(batch.tokenIDs[place]))" }
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

  private func name(_ number: Int) -> String { "step \(number) of stage '\(stage.name)'" }

  private func place(of item: SentenceReference) -> String {
    let sentence = sentence(of: item)
    return "\(sentence.path):\(sentence.line) (\(sentence.language))"
  }

  private func sentence(of item: SentenceReference) -> ReplayedStep.Sentence {
    let place = feed?.place(of: item) ?? ("", 0)
    return .init(language: context.codes[item.language], path: place.0, line: place.1)
  }
}
