import Files
import Foundation

/// The numbers of a run: a JSON line a report in `metrics.jsonl`, and TensorBoard events.
///
/// Only the first rank has one. What was written before a resumed run's checkpoint stays.
public final class MetricLog: @unchecked Sendable {
  private let lines: FileHandle
  private let events: TensorBoardEvents

  /// Opens, or goes on with, the log of a run directory.
  ///
  /// - Throws: ``RunError`` of code `io` if the files cannot be opened.
  public init(directory: String) throws {
    do {
      let path = directory + "/metrics.jsonl"
      if !FileManager.default.fileExists(atPath: path) {
        _ = FileManager.default.createFile(atPath: path, contents: nil)
      }
      lines = try FileHandle(forWritingTo: URL(filePath: path))
      try lines.seekToEnd()
      events = try TensorBoardEvents(path: directory + "/events.out.tfevents.0.isogloss")
    } catch {
      throw RunError(.io, "\(directory): the log cannot be opened: \(error)")
    }
  }

  /// Writes named numbers of one step of a stage. A log that cannot be written to does not stop a run.
  func write(stage: String, step: Int, _ values: [(name: String, value: Double)]) {
    var line = JSONObject()
    line["stage"] = .init(stage)
    line["step"] = .init(step)
    for (name, value) in values { line[name] = value.isFinite ? .init(value) : .null }
    let text = JSONValue.object(line).compactText + "\n"
    try? lines.write(contentsOf: Data(text.utf8))
    try? events.write(values.map { ("\(stage)/\($0.name)", $0.value) }, step: step)
  }
}
