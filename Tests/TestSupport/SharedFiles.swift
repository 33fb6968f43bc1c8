public import Foundation

/// The folder of corpora and checkpoints that lies beside the project on its developers' machines.
///
/// Tests that need it are enabled by `SharedFiles.isPresent`, so that a run without it says they were skipped.
public enum SharedFiles {
  public static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "shared")

  public static var isPresent: Bool { isPresent("data/README.md") }

  public static func isPresent(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: root.appending(path: path).path)
  }

  public static func path(_ path: String) -> String { root.appending(path: path).path }
}
