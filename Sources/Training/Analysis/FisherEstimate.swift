import Checkpoints
public import Collectives
public import Corpus
import Determinism
import Files
import Foundation
import Model
public import Tensors

/// The diagonal of a model's Fisher information on the sentences of a language, by exact sampling of labels (Mueller,
/// Andrews and Dredze, ACL 2020, section 5.3):
///
/// `F[i] = 1/N Σₙ E_{y ~ p(·|xₙ)} (∂ log p(y|xₙ) / ∂θ[i])²`
///
/// The expectation is a mean over samples. It uses no gold label. Every sample is one forward and one backward pass, since
/// gradients are squared before they are added.
///
/// Sentences are dealt to eight lanes, each summed by itself in a fixed order and then added in theirs, so that any number
/// of ranks gives the same bits; ranks beyond eight have nothing to do. A lane is written to disk when it is whole, after
/// each ``Settings/saveSeconds`` and when a stop is asked for, and an estimate goes on from there, on any number of ranks.
public struct FisherEstimate {
  public struct Settings: Sendable, Equatable {
    /// How many sentences are used, drawn by the seed; nil for all.
    public var sentences: Int?
    /// Labellings drawn of each sentence. The paper has 1,000.
    public var samples = 1000
    public var seed: UInt64 = 1
    public var saveSeconds = 300
    /// How long a rank works until it asks the others whether to stop; one pass at least.
    public var turn = Duration.seconds(2)

    public init() {}
  }

  static let laneCount = 8

  private let model: String
  private let predictor: any Predictor
  private let settings: Settings
  private let workspace: Workspace
  private let communicator: any Communicator

  /// - Parameter model: Where it lies, for the file.
  public init(
    of predictor: any Predictor, model: String, _ settings: Settings, in workspace: Workspace,
    over communicator: any Communicator
  ) {
    self.model = model
    self.predictor = predictor
    self.settings = settings
    self.workspace = workspace
    self.communicator = communicator
  }

  /// Writes the diagonal of a language to a file, unless it is there already. Every rank calls it.
  ///
  /// - Parameters:
  ///   - sentences: All of the language; tags are not read.
  ///   - path: Beside it, `PATH.lanes` holds what is unfinished. All ranks see both.
  ///   - stop: Asked at the end of each turn: whether to save and give up.
  /// - Returns: Why it was given up, if it was.
  /// - Throws: ``RunError`` if the model gives labels no probability, and where a file of other sentences, weights or settings
  ///   is in the way.
  public func write(
    _ sentences: [Sentence], language: String, to path: String, stop: () -> StopRequest?
  ) throws -> StopRequest? {
    let chosen = choice(of: sentences)
    let work = Work(
      sampler: try sampler(chosen.map { sentences[$0] }, language), keys: chosen,
      samples: settings.samples, identity: identity(chosen.map { sentences[$0] }, language))
    try RankAgreement.check(
      "the Fisher information of \(language)", work.identity,
      fix: "start every rank with the same model, data and options", over: communicator)
    if FileManager.default.fileExists(atPath: path) {
      let file = try FisherFile(path)
      guard file.identity == work.identity else { throw Self.inTheWay(path) }
      return nil
    }
    let lanes = path + ".lanes"
    if communicator.rank == 0 { try Self.makeDirectory(lanes) }
    try communicator.barrier()
    if let request = try fill(work, in: lanes, stop: stop) { return request }
    if communicator.rank == 0 {
      try fold(work, from: lanes, language: language, sentences: chosen.count, to: path)
      try? FileManager.default.removeItem(atPath: lanes)
    }
    try communicator.barrier()
    return nil
  }

  private struct Work {
    let sampler: any LabelSampler
    /// The place of each sentence among all of the language.
    let keys: [Int]
    let samples: Int
    let identity: String

    /// The sentences of a lane, by their places among those that are used.
    func sentences(ofLane lane: Int) -> [Int] {
      Array(stride(from: lane, to: keys.count, by: laneCount))
    }
  }

  // MARK: What is estimated

  private func choice(of sentences: [Sentence]) -> [Int] {
    var order = sentences.indices.filter { !sentences[$0].words.isEmpty }
    guard let count = settings.sentences, count < order.count else { return order }
    var random = RandomStream(seed: settings.seed, ["fisher sentences"])
    random.shuffle(&order)
    return order.prefix(count).sorted()
  }

  private func sampler(_ sentences: [Sentence], _ language: String) throws -> any LabelSampler {
    guard let sampler = try predictor.sampler(of: sentences, language: language) else {
      throw RunError(
        .configuration, "\(model): this model gives labels no probability to draw them by")
    }
    return sampler
  }

  /// What the bits of the diagonal follow from, in one line.
  private func identity(_ sentences: [Sentence], _ language: String) -> String {
    var words = FNV1a()
    for word in sentences.lazy.flatMap(\.words) {
      for byte in word.utf8 { words.add(byte: byte) }
      words.add(byte: 0)
    }
    let hashes = [predictor.model.parameters.hash, words.value].map { String($0, radix: 16) }
    return "weights \(hashes[0]), language \(language), \(sentences.count) sentences \(hashes[1]), "
      + "\(settings.samples) samples, seed \(settings.seed), "
      + NumericsID.of(workspace.kernels, workspace.precision)
  }

  // MARK: Lanes

  /// Fills the lanes of this rank, and waits for those of others.
  private func fill(
    _ work: Work, in directory: String, stop: () -> StopRequest?
  ) throws -> StopRequest? {
    var own = Array(
      stride(from: communicator.rank, to: Self.laneCount, by: communicator.size).reversed())
    let layout = predictor.model.network.layout
    let gradients = GradientBuffer(layout: layout)
    var lane: Lane?
    var saved = ContinuousClock.now
    while true {
      let begin = ContinuousClock.now
      repeat {
        if lane == nil, let next = own.popLast() {
          lane = try Lane(next, of: work.identity, layout, in: directory)
        }
        guard var current = lane else { break }
        lane = nil  // or the sums would be copied
        let sentences = work.sentences(ofLane: current.number)
        if current.done < sentences.count * work.samples {
          let sentence = sentences[current.done / work.samples]
          work.sampler.leaveGradient(
            ofSentence: sentence, key: work.keys[sentence], sample: current.done % work.samples,
            seed: settings.seed, predictor.model.parameters, into: gradients, in: workspace)
          current.squares.add(gradients)
          current.done += 1
          lane = current
        } else {
          try current.write(work.identity, in: directory)
          saved = ContinuousClock.now
        }
      } while ContinuousClock.now - begin < settings.turn
      let isIdle = lane == nil && own.isEmpty
      let request = stop()
      // Whether somebody works on, and the strongest of the requests.
      let asked: Int64 = request == nil ? 0 : request == .interrupt ? 1 : 2
      var state: [Int64] = [isIdle ? 0 : 1, asked]
      try communicator.allReduce(&state, .max)
      if state[1] > 0 || ContinuousClock.now - saved > .seconds(settings.saveSeconds) {
        try lane?.write(work.identity, in: directory)
        saved = ContinuousClock.now
      }
      if state[0] == 0 { return nil }
      if state[1] > 0 {
        try communicator.barrier()
        return state[1] == 1 ? .interrupt : .preemption
      }
    }
  }

  /// Adds the lanes in their order, and writes the mean.
  private func fold(
    _ work: Work, from directory: String, language: String, sentences: Int, to path: String
  ) throws {
    let layout = predictor.model.network.layout
    var total = SquaredGradients(layout: layout)
    for number in 0..<Self.laneCount {
      let lane = try Lane(number, of: work.identity, layout, in: directory)
      guard lane.done == work.sentences(ofLane: number).count * work.samples else {
        throw RunError(.io, "\(directory): lane \(number) is not whole; do all ranks see it?")
      }
      for index in total.sums.indices { total.sums[index] += lane.squares.sums[index] }
    }
    let count = Double(max(1, sentences * settings.samples))
    try FisherFile.write(
      total.sums.map { Float($0 / count) }, layout, to: path,
      [
        "model": model, "language": language, "sentences": "\(sentences)",
        "samples": "\(settings.samples)", "seed": "\(settings.seed)", "identity": work.identity,
      ])
  }

  private static func inTheWay(_ path: String) -> RunError {
    RunError(
      .data,
      "\(path): is there, of another model, other data or other options; remove it, or write elsewhere"
    )
  }

  private static func makeDirectory(_ path: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw RunError(.io, "\(path) cannot be made: \(error.localizedDescription)")
    }
  }

  /// The sums of some of the sentences, as they go on.
  private struct Lane {
    let number: Int
    /// The samples that are in the sums, over the sentences of the lane in order.
    var done = 0
    var squares: SquaredGradients

    /// As it was written, or empty.
    ///
    /// - Throws: ``RunError`` if the file is of something else.
    init(_ number: Int, of identity: String, _ layout: ParameterLayout, in directory: String) throws
    {
      self.number = number
      squares = SquaredGradients(layout: layout)
      let path = Self.path(number, directory)
      guard FileManager.default.fileExists(atPath: path) else { return }
      let file = try SafetensorsFile(path)
      guard file.metadata["identity"] == identity,
        let done = file.metadata["done"].flatMap(Int.init), done >= 0
      else { throw inTheWay(path) }
      self.done = done
      var span = squares.sums.mutableSpan
      try file.readExactly("sums", shape: [layout.count], into: &span)
    }

    func write(_ identity: String, in directory: String) throws(FileError) {
      try SafetensorsWriter.write(
        to: Self.path(number, directory), [.init("sums", [squares.sums.count], .f64)],
        metadata: ["identity": identity, "done": "\(done)"]
      ) { (writer) throws(FileError) in
        try writer.appendExactly("sums", squares.sums.span)
      }
    }

    private static func path(_ number: Int, _ directory: String) -> String {
      "\(directory)/lane-\(number).safetensors"
    }
  }
}
