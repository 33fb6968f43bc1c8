import Configuration
import Glibc

// Kernels and libraries choose by the same name: OpenBLAS reads its own variable when it is loaded.
LibraryChoice.applyForcedKernels()
Guardian.start(arguments: CommandLine.arguments)
Signals.watch()
let started = ContinuousClock.now

do {
  if CommandLine.arguments.dropFirst().first == "--version" {
    print("isogloss \(Program.version)")
    exit(0)
  }
  if CommandLine.arguments.contains("--help-config") {
    print(RunConfiguration.reference, terminator: "")
    exit(0)
  }
  switch try Program.commands.parse(Array(CommandLine.arguments.dropFirst())) {
  case .help(let text): print(text, terminator: "")
  case .run(let arguments): try Program.run(arguments, started: started)
  }
} catch {
  Program.fail(error)
}
