import Checkpoints
public import Files

/// What manifests tell of files of data.
public enum DataFiles {
  /// The name and the SHA-256 of each file, as it lies on the disk. Cost: reads all.
  public static func hashes(_ files: [String]) throws(FileError) -> JSONValue {
    var hashes: [JSONValue] = []
    for file in files {
      hashes.append([
        "name": .init(lastPart(of: file)), "sha256": .init(try SHA256.digest(ofFile: file)),
      ])
    }
    return .array(hashes)
  }

  /// Checkpoints travel: paths in them are cut to their last part.
  public static func lastPart(of path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }
}
