import Foundation

/// Files that lie beside a test: `Fixtures/<name>` in the folder of the calling test target.
public func fixture(_ name: String, from file: String = #filePath) -> String {
  URL(filePath: file).deletingLastPathComponent().appending(path: "Fixtures/\(name)").path
}
