import Configuration
import Tensors
import Training

extension Command {
  /// A command of a task, with the options of threads and precision.
  init(_ task: TaskCommand) {
    self.init(
      task.name, task.summary, positionals: task.positionals,
      options: task.options + [.precision, .threads], notes: task.notes
    ) { arguments in
      let workspace = try Workspace.chosen(by: arguments)
      defer { workspace.stop() }
      var lines = LineReader()
      try task.run(
        TaskCommand.Call(
          arguments: arguments, workspace: workspace, nextLine: { lines.next() },
          printJSON: { try JSONLine.print($0) }))
    }
  }
}
