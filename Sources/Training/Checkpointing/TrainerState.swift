import Configuration

/// Where a stage stands, as `trainer_state.json`. It does not depend on the rank count.
///
/// `Cursor` is what the stage's feed needs in addition to the step, so that a run can go on.
struct TrainerState<Cursor: Codable & Sendable & Equatable>: Codable, Equatable, Sendable {
  var formatVersion = 1
  var stage: String
  /// The steps done.
  var step = 0
  var totalSteps: Int
  /// The updates in the optimiser's moments.
  var optimiserUpdates = 0
  var bestMetric: Double?
  var bestStep: Int?
  /// The hash of the best weights' bits.
  var bestHash: String?
  var evaluationsWithoutImprovement = 0
  /// The hash of the weights' bits.
  var weightHash: String
  /// How much of the feed has come; nil where the step says it. Its key is that of the first feed that had one.
  var cursor: Cursor?
  var evaluations: [StageEvaluation] = []

  private enum CodingKeys: String, CodingKey {
    case formatVersion, stage, step, totalSteps, optimiserUpdates, bestMetric, bestStep, bestHash
    case evaluationsWithoutImprovement, weightHash, evaluations
    case cursor = "text"
  }
}

/// The scores of one evaluation on dev.
struct StageEvaluation: Codable, Equatable, Sendable {
  var step: Int
  var metric: Double
  var scores: [StageResult.Score]
}
