import Checkpoints
import Configuration
import Files
import Foundation
import Synchronization
import Tensors

/// A stage at one step, to be written while the stage goes on: values, whose memory the next update copies where they
/// are still to be written.
struct StageSnapshot: Sendable {
  var place: Place
  var model: TrainedModel

  /// What all files of a stage share: where they are and what is known before the first step.
  struct Place: Sendable {
    var stage: Stage
    /// The stage's directory.
    var directory: String
    /// Writes what belongs to the weights beside them: `config.json`, a tokenizer.
    var files: @Sendable (_ directory: String, ElementType) throws(FileError) -> Void
    var programVersion: String
    /// What every manifest tells of the stage and of its making.
    var facts: JSONObject
    var lineage: LineageOnce
    /// The name of the run's directory, for model cards.
    var runName: String
  }

  /// Writes `checkpoint-STEP`, complete or not at all, and removes those beyond the limit.
  ///
  /// - Parameters:
  ///   - moments: Writes the moments to a path.
  ///   - hashThreads: How many processors hash the files; nil for all.
  func writeCheckpoint<Cursor>(
    _ state: TrainerState<Cursor>, hashThreads: Int?,
    moments: (_ path: String) throws(FileError) -> Void
  ) throws {
    var state = state
    state.weightHash = String(model.parameters.hash, radix: 16)
    let directory = place.directory
    try CheckpointDirectory.write(
      to: directory + "/checkpoint-\(state.step)", replacing: true,
      neededBytes: 3 * model.byteCount, programVersion: place.programVersion,
      facts: facts(extra: JSONObject(), weightHash: state.weightHash), hashThreads: hashThreads
    ) { (temporary) throws(FileError) in
      try model.writeWeights(into: temporary)
      try place.files(temporary, .f32)
      try moments(temporary + "/optimizer.safetensors")
      try RunState.write(state, to: temporary + "/trainer_state.json")
    }
    guard let limit = place.stage.training.saveTotalLimit else { return }
    let others = try CheckpointDirectory.numbered(in: directory).filter { $0.step != state.step }
    for old in others.dropFirst(limit - 1) {
      try CheckpointDirectory.discard(old.path)
    }
  }

  /// Writes the model alone, with its card, in the place of an earlier one.
  ///
  /// - Parameters:
  ///   - isFinal: Whether it is what the stage ends with, and not its best weights so far.
  ///   - hashThreads: How many processors hash the files; nil for all.
  func writeModel(
    to path: String, facts extra: JSONObject, isFinal: Bool, hashThreads: Int?
  ) throws {
    let (stored, shardMb) = (place.stage.training.saveDtype, place.stage.training.maxShardMb)
    let facts = facts(extra: extra, weightHash: String(model.parameters.hash, radix: 16))
    let name = place.runName + "-" + place.stage.folderName
    let card = ModelCard(name: name, facts: facts).text(over: try? ModelCard.text(in: path))
    try CheckpointDirectory.write(
      to: path, replacing: true, neededBytes: model.byteCount,
      programVersion: place.programVersion, facts: facts, hashThreads: hashThreads
    ) { (temporary) throws(FileError) in
      let type: ElementType = isFinal && stored == .bf16 ? .bf16 : .f32
      try model.writeWeights(
        into: temporary, type: type, shardBytes: isFinal ? shardMb.map { $0 * 1_000_000 } : nil)
      try place.files(temporary, type)
      try WholeFile.write(Array(card.utf8), to: temporary + "/" + ModelCard.fileName)
    }
  }

  private func facts(extra: JSONObject, weightHash: String) -> JSONValue {
    var facts = extra
    for fact in place.facts.members { facts[fact.name] = fact.value }
    facts["weight_hash"] = .init(weightHash)
    place.lineage.value.write(into: &facts)
    return .object(facts)
  }
}

/// Where a stage comes from: read from its parents' manifests at once, or, of a parent without one, found by hashing it
/// when the first of the stage's files is written.
final class LineageOnce: Sendable {
  private let origins: [String]
  private let failed: @Sendable (FileError) -> Void
  private let found = Mutex<CheckpointLineage?>(nil)

  /// - Parameters:
  ///   - origins: The directories of all that the stage comes from; none if it begins with random weights.
  ///   - failed: Called once if a directory cannot be read: the stage then has no lineage.
  init(of origins: [String], failed: @escaping @Sendable (FileError) -> Void) {
    self.origins = origins
    self.failed = failed
    if origins.allSatisfy(CheckpointDirectory.hasManifest) { _ = value }
  }

  var value: CheckpointLineage {
    found.withLock { found in
      if let found { return found }
      var lineage = CheckpointLineage()
      do throws(FileError) {
        lineage = try CheckpointLineage(of: origins, hashThreads: 1)
      } catch {
        failed(error)
      }
      found = lineage
      return lineage
    }
  }
}
