import Checkpoints
import Collectives
import Configuration
import Corpus
import Foundation
import Tensors
import Training

/// The commands, what runs them, and how an error ends the process.
enum Program {
  static let version = "0.1.0"

  static let commands = CommandTree(
    "isogloss",
    "Trains multilingual encoders, data-parallel over MPI ranks. --version prints its version.",
    commands: [
      SampleCommand.command, TrainCommand.command, ReplayCommand.command, EstimateCommand.command,
      EvaluateCommand.command, PredictCommand.command, FillMaskCommand.command,
      ScoreCommand.command, TokenizerTrainCommand.command, TokenizerCommand.encode,
      TokenizerCommand.compare, DataCommand.pack,
      InspectCommand.command, InspectCommand.lineage, InspectCommand.card,
      VerifyCommand.command, VerifyCommand.keygen, VerifyCommand.sign,
      DeltaCommand.diff, DeltaCommand.apply, MergeCommand.command,
      StoreCommand.push, StoreCommand.pull, StoreCommand.list,
      BenchTrainCommand.command, BenchMLMCommand.command, BenchPredictCommand.command,
      BenchKernelsCommand.command,
      BenchCollectivesCommand.command,
      DoctorCommand.command,
    ])

  static func run(_ arguments: ParsedArguments, started: ContinuousClock.Instant) throws {
    switch arguments.command {
    case "sample": try SampleCommand.run(arguments)
    case "train": try TrainCommand.run(arguments)
    case "replay": try ReplayCommand.run(arguments)
    case "estimate": try EstimateCommand.run(arguments)
    case "evaluate": try EvaluateCommand.run(arguments)
    case "predict": try PredictCommand.run(arguments)
    case "fill-mask": try FillMaskCommand.run(arguments)
    case "score": try ScoreCommand.run(arguments)
    case "tokenizer train": try TokenizerTrainCommand.run(arguments)
    case "tokenizer encode": try TokenizerCommand.runEncode(arguments)
    case "tokenizer compare": try TokenizerCommand.runCompare(arguments)
    case "data pack": try DataCommand.run(arguments)
    case "checkpoint inspect": try InspectCommand.run(arguments)
    case "checkpoint lineage": try InspectCommand.runLineage(arguments)
    case "checkpoint card": try InspectCommand.runCard(arguments)
    case "checkpoint verify": try VerifyCommand.run(arguments)
    case "checkpoint keygen": try VerifyCommand.runKeygen(arguments)
    case "checkpoint sign": try VerifyCommand.runSign(arguments)
    case "checkpoint diff": try DeltaCommand.runDiff(arguments)
    case "checkpoint apply": try DeltaCommand.runApply(arguments)
    case "checkpoint merge": try MergeCommand.run(arguments)
    case "checkpoint push": try StoreCommand.runPush(arguments)
    case "checkpoint pull": try StoreCommand.runPull(arguments)
    case "checkpoint list": try StoreCommand.runList(arguments)
    case "bench train": try BenchTrainCommand.run(arguments, started: started)
    case "bench mlm": try BenchMLMCommand.run(arguments)
    case "bench predict": try BenchPredictCommand.run(arguments)
    case "bench kernels": try BenchKernelsCommand.run(arguments)
    case "bench collectives": try BenchCollectivesCommand.run(arguments)
    case "doctor": try DoctorCommand.run(arguments)
    default: preconditionFailure("a command \(arguments.command) that nothing runs")
    }
  }

  /// Ends the process, and with it all ranks, with one line and the error's exit code.
  ///
  /// - Parameter isStuck: Whether the main thread hangs in MPI, so that nothing can be closed in good order.
  static func fail(_ error: any Error, isStuck: Bool = false) -> Never {
    let code = exitCode(error)
    // To speak is to write to a file system that may be gone with the network.
    Thread.detachNewThread {
      sleep(15)
      _exit(code)
    }
    let speaks = Ranks.isFirst || (error as? RunError)?.code != .elsewhere
    // What goes wrong on all ranks alike is said by the first, whose end ends the others: they give it a
    // moment.
    if isStuck { sleep(2) }
    if !Ranks.isFirst { sleep(2) }
    if speaks, GroupEnd.claim() {
      Ranks.clearProgress()
      let place = Ranks.identity.map { "\($0): " } ?? ""
      // The rank is named already.
      let words = (error as? CollectiveError).map { "\($0.operation): \($0.detail)" } ?? "\(error)"
      let text = words.split(whereSeparator: \.isNewline).joined(separator: " ")
      FileHandle.standardError.write(Data("isogloss: \(place)\(text)\n".utf8))
      if Ranks.identity != nil { GroupEnd.letItBeHeard() }
    }
    if let communicator = unsafe Ranks.communicator, communicator.size > 1 {
      communicator.abort(code: code)
    }
    if isStuck { _exit(code) }
    exit(code)
  }

  /// The exit codes of sysexits.
  private static func exitCode(_ error: any Error) -> Int32 {
    switch error {
    case is UsageError, is KernelTableError: 64
    case let error as CorpusError:
      switch error.code {
      case .missing: 66
      case .data: 65
      case .io: 74
      }
    case let error as CheckpointError:
      switch error.code {
      case .missing: 66
      case .data: 65
      case .io: 74
      }
    case let error as ConfigError:
      switch error.code {
      case .missing: 66
      case .content: 78
      case .io: 74
      }
    case let error as RunError:
      switch error.code {
      case .configuration: 78
      case .data: 65
      case .io: 74
      case .notFinite, .diverged, .elsewhere: 70
      }
    default: 70
    }
  }
}
