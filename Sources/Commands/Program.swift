import CLinux
import Configuration
import Files
import Glibc
public import Training

/// The program `isogloss`: its commands, and what an executable does with them.
///
/// An executable is `Program(tasks: standardTasks).main()` and nothing else.
public struct Program {
  private let tasks: [any RunTask.Type]

  /// - Parameter tasks: What stages can do, the default first; names differ.
  public init(tasks: [any RunTask.Type]) {
    precondition(
      !tasks.isEmpty && Set(tasks.map { $0.schema.name }).count == tasks.count,
      "no task, or two of one name")
    self.tasks = tasks
  }

  /// The commands, in the order of the help. ``main()`` makes them after it has prepared the process.
  private var commands: CommandTree {
    let analyses = [
      ErrorsCommand.command, SharedCommand.command, PruneCommand.command(tasks),
      FisherCommand.command(tasks), OverlapCommand.command,
    ]
    return CommandTree(
      "isogloss",
      "Trains multilingual encoders, data-parallel over MPI ranks. --version prints its version.",
      commands: [
        SampleCommand.command, TrainCommand.command(tasks), ReplayCommand.command(tasks),
        EstimateCommand.command(tasks), EvaluateCommand.command(tasks),
        PredictCommand.command(tasks),
      ] + tasks.flatMap { $0.commands }.map(Command.init) + [
        CompareCommand.command, ReportCommand.command, ScoreCommand.command,
      ] + analyses + [
        TokenizerTrainCommand.command,
        TokenizerCommand.encode,
        TokenizerCommand.compare, DataCommand.pack,
        InspectCommand.command, InspectCommand.lineage, InspectCommand.card,
        VerifyCommand.command, VerifyCommand.keygen, VerifyCommand.sign,
        DeltaCommand.diff, DeltaCommand.apply, MergeCommand.command,
        StoreCommand.push, StoreCommand.pull, StoreCommand.list,
      ] + tasks.flatMap { $0.benches }.map(BenchStepCommand.command) + [
        BenchPredictCommand.command(tasks), BenchKernelsCommand.command,
        BenchCollectivesCommand.command, DoctorCommand.command(tasks),
      ])
  }

  /// Runs the command line of this process, and ends the process with the command's exit code.
  public func main() -> Never {
    // Kernels and libraries choose by the same name: OpenBLAS reads its own variable when it is loaded.
    Self.holdStandardDescriptors()
    LibraryChoice.applyForcedKernels()
    Guardian.start(arguments: CommandLine.arguments)
    Signals.watch()
    ProcessFacts.recordStart()
    do {
      try run(Array(CommandLine.arguments.dropFirst()))
    } catch {
      Failure.end(error)
    }
    // What was printed and did not arrive is lost.
    if CLinux_outputFailed() {
      Failure.end(FileError(.io, "standard output", "cannot be written"))
    }
    exit(0)
  }

  /// Without this, a file that the program opens could become the standard output of one that was started without.
  private static func holdStandardDescriptors() {
    for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) == -1 {
      // The standard output is one that cannot be written: what is printed does not arrive.
      _ = unsafe open("/dev/null", descriptor == 2 ? O_WRONLY : O_RDONLY)
    }
  }

  /// - Parameter words: Those behind the program's name.
  private func run(_ words: [String]) throws {
    if words.first == "--version" {
      print("isogloss \(ProcessFacts.programVersion)")
      return
    }
    if words.contains("--help-config") {
      print(RunConfiguration.reference(of: tasks.map { $0.schema }), terminator: "")
      return
    }
    switch try commands.parse(words) {
    case .help(let text): print(text, terminator: "")
    case .run(let command, let arguments): try command.run(arguments)
    }
  }
}
