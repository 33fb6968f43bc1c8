public import Files
import Foundation

extension CheckpointDirectory {
  /// Checks that the directory holds what its manifest lists, hashing every file.
  ///
  /// - Returns: The manifest.
  /// - Throws: ``FileError`` with the file that is missing, extra or different, or the manifest's
  ///   format version when this program does not know it.
  @discardableResult
  public static func verify(_ path: String) throws(FileError) -> CheckpointManifest {
    try verify(path, CheckpointManifest.bytes(directory: path))
  }

  /// The same of a checkpoint that the owner of `key` has to have signed.
  @discardableResult
  public static func verify(
    _ path: String, signedBy key: borrowing VerifyingKey
  ) throws(FileError) -> CheckpointManifest {
    // One reading: what was signed is what the files are compared with.
    let bytes = try CheckpointManifest.bytes(directory: path)
    try CheckpointSignatures(directory: path).check(bytes, of: path, by: key)
    return try verify(path, bytes)
  }

  static func verify(
    _ path: String, _ bytes: [UInt8]
  ) throws(FileError) -> CheckpointManifest {
    let manifest = try CheckpointManifest(
      parsing: bytes, path: path + "/" + CheckpointManifest.fileName)
    try checkSizes(path, manifest)
    try compare(try FileHashes.of(manifest.files.map(\.name), in: path), with: manifest, path)
    return manifest
  }

  /// Checks that files have the hashes that the manifest of their directory gives; others may be among them.
  static func compare(
    _ files: [CheckpointManifest.File], with manifest: CheckpointManifest, _ path: String
  ) throws(FileError) {
    let saved = Dictionary(manifest.files.map { ($0.name, $0) }) { first, _ in first }
    for found in files {
      guard let file = saved[found.name] else { continue }
      let tensors = differing(file.tensors, found.tensors)
      guard found.sha256 == file.sha256, tensors.isEmpty else {
        throw FileError(
          .data, path, field: file.name,
          "differs from what was saved" + tensors
            + ": its SHA-256 is \(found.sha256), the manifest "
            + "says " + printable(file.sha256, limit: 64))
      }
    }
  }

  /// Which tensors are not as they were: ` in the tensor …`; empty if all are, or their hashes were not written down.
  private static func differing(
    _ saved: [CheckpointManifest.Tensor], _ found: [CheckpointManifest.Tensor]
  ) -> String {
    if saved.isEmpty || saved == found { return "" }
    let hashes = Dictionary(found.map { ($0.name, $0.sha256) }) { first, _ in first }
    let names = saved.filter { hashes[$0.name] != $0.sha256 }.map { printable($0.name, limit: 120) }
    switch names.count {
    case 0: return " in its header"
    case 1: return " in the tensor \(names[0])"
    default: return " in \(names.count) tensors, the first of them \(names[0])"
    }
  }

  /// Checks the manifest, and the names and sizes of the files, without reading them.
  @discardableResult
  public static func checkSizes(_ path: String) throws(FileError) -> CheckpointManifest {
    let manifest = try CheckpointManifest(directory: path)
    try checkSizes(path, manifest)
    return manifest
  }

  private static func checkSizes(
    _ path: String, _ manifest: CheckpointManifest
  ) throws(FileError) {
    // The names in the manifest are only compared with those found, so none can lead elsewhere.
    // Names are bytes: two that read the same are two.
    var found = Set(try FileTree(path).files.map { Array($0.utf8) })
    found.subtract(CheckpointManifest.ownFiles.map { Array($0.utf8) })
    for file in manifest.files {
      guard found.remove(Array(file.name.utf8)) != nil else {
        throw FileError(
          .data, path, field: file.name, "is missing, though the manifest lists it")
      }
      let size = try OpenFile(reading: path + "/" + file.name).size()
      guard size == file.size else {
        throw FileError(
          .data, path, field: file.name, "has \(size) bytes, the manifest says \(file.size)")
      }
    }
    if let extra = found.map({ String(decoding: $0, as: UTF8.self) }).min() {
      throw FileError(.data, path, field: extra, "is extra: the manifest does not list it")
    }
  }

  /// A checkpoint of a run, named by its step.
  public struct Numbered: Sendable, Equatable {
    public var path: String
    public var step: Int
  }

  /// The directories named `prefix` and a step number in `runDirectory`, the highest step first.
  ///
  /// - Throws: ``FileError`` when `runDirectory` exists and cannot be read.
  public static func numbered(
    in runDirectory: String, prefix: String = "checkpoint-"
  ) throws(FileError) -> [Numbered] {
    guard FileKind.of(runDirectory) != .absent else { return [] }
    var list: [Numbered] = []
    for name in try names(in: runDirectory) where name.hasPrefix(prefix) {
      let digits = name.dropFirst(prefix.count)
      guard digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let step = Int(digits) else {
        continue
      }
      list.append(Numbered(path: runDirectory + "/" + name, step: step))
    }
    return list.sorted { ($0.step, $0.path) > ($1.step, $1.path) }
  }

  /// The checkpoint of the highest step in `runDirectory` whose manifest is there and whose files have
  /// the sizes it gives; nil when there is none.
  public static func newestComplete(
    in runDirectory: String, prefix: String = "checkpoint-"
  ) throws(FileError) -> Numbered? {
    try numbered(in: runDirectory, prefix: prefix).first { (try? checkSizes($0.path)) != nil }
  }

  static func names(in directory: String) throws(FileError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    } catch {
      throw FileError(.io, directory, "cannot be read as a directory")
    }
  }

  // MARK: Recovery

  /// Ends what a killed process left half done in `directory`.
  ///
  /// A replacement cut between its two renames is completed, or undone if its successor is not whole;
  /// then every hidden partial file and directory is removed. Only for when no other process writes
  /// there.
  ///
  /// - Returns: A line for each thing done, for a log.
  @discardableResult
  public static func recover(in directory: String) throws(FileError) -> [String] {
    guard FileKind.of(directory) != .absent else { return [] }
    var log: [String] = []
    let hidden = try names(in: directory).filter { $0.hasPrefix(".") }
    for name in hidden where name.hasSuffix(SiblingName.replacedSuffix) {
      let final = String(name.dropFirst().dropLast(SiblingName.replacedSuffix.count))
      guard !final.isEmpty else { continue }
      let place = SiblingName(directory + "/" + final)
      if FileKind.of(place.path) != .absent {
        try remove(place.replaced)
        log.append("removed the old \(final), which was replaced")
        continue
      }
      let successor = hidden.first {
        partialTarget($0) == final && (try? checkSizes(directory + "/" + $0)) != nil
      }
      let source = successor.map { directory + "/" + $0 } ?? place.replaced
      guard unsafe rename(source, place.path) == 0 else { throw .system("recovering", place.path) }
      try syncDirectory(directory)
      if successor != nil { try remove(place.replaced) }
      log.append(
        successor == nil
          ? "brought back \(final), whose replacement is not whole" : "finished replacing \(final)")
    }
    for name in hidden where partialTarget(name) != nil {
      guard FileKind.of(directory + "/" + name) != .absent else { continue }
      try remove(directory + "/" + name)
      log.append("removed \(name), which was never finished")
    }
    return log
  }

  /// The name for which `.NAME.partial-NUMBER` stands; nil for a name of any other form.
  private static func partialTarget(_ name: String) -> String? {
    guard let mark = name.range(of: SiblingName.partialMark, options: .backwards),
      !name[mark.upperBound...].isEmpty,
      name[mark.upperBound...].utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
    else { return nil }
    let target = name[..<mark.lowerBound].dropFirst()
    return target.isEmpty ? nil : String(target)
  }
}
