public import Files
import Foundation

/// Directories that are complete or absent: written beside their final place and renamed once.
///
/// A complete one holds `isogloss.json` (``CheckpointManifest``), which is written last and lists the
/// size and SHA-256 of every other file.
public enum CheckpointDirectory {
  /// Writes a directory of files to `path`.
  ///
  /// `body` fills an empty hidden sibling. Every file is then brought to the disk and hashed, the
  /// manifest written, and the sibling renamed. After any error the sibling is gone and what was at
  /// `path` before is there still.
  ///
  /// - Parameters:
  ///   - replacing: Whether a checkpoint may stand at `path` already. One that does is renamed away, and
  ///     removed when the new one is in place; ``recover(in:)`` ends a replacement cut short between.
  ///     A directory without a manifest is never replaced.
  ///   - neededBytes: What the files will take: the free space is checked first.
  ///   - programVersion: Goes into the manifest, as does `facts`, an object.
  ///   - hashThreads: How many files and tensors are hashed at once; nil for as many as there are processors.
  ///   - body: Writes files, and directories of files, below the path it is given.
  /// - Returns: The manifest that was written.
  /// - Throws: ``FileError`` of code `io`, or what `body` throws.
  @discardableResult
  public static func write(
    to path: String, replacing: Bool = false, neededBytes: Int = 0, programVersion: String,
    facts: JSONValue = [:], hashThreads: Int? = nil,
    _ body: (_ temporaryPath: String) throws(FileError) -> Void
  ) throws(FileError) -> CheckpointManifest {
    precondition(facts.object != nil, "the facts of a manifest are an object")
    var manifest: CheckpointManifest?
    try assemble(at: path, replacing: replacing, neededBytes: neededBytes) {
      (partial) throws(FileError) in
      try body(partial)
      let written = CheckpointManifest(
        programVersion: programVersion, files: try syncAndHash(partial, threads: hashThreads),
        facts: facts)
      try written.checkLength(path)
      try WholeFile.write(written.text, to: partial + "/" + CheckpointManifest.fileName)
      try syncDirectory(partial)
      manifest = written
    }
    guard let manifest else { preconditionFailure("\(path) was written without a manifest") }
    return manifest
  }

  /// Writes a directory of files to `path`, complete or not at all, whose manifest, if it has one, `body` writes like
  /// any other file. It brings all files to the disk itself.
  static func assemble(
    at path: String, replacing: Bool = false, neededBytes: Int,
    _ body: (_ temporaryPath: String) throws(FileError) -> Void
  ) throws(FileError) {
    guard SiblingName.isPlace(path) else {
      throw FileError(.io, path, "does not end in a name; give one for a new directory")
    }
    let place = SiblingName(path)
    try FileTree.makeDirectory(place.parent)
    try checkPlace(place.path, replacing: replacing)
    try checkSpace(in: place.parent, for: place.path, neededBytes: neededBytes)
    let partial = SiblingName.partial(of: path)
    do throws(FileError) {
      guard unsafe mkdir(partial, 0o777) == 0 else { throw .system("creating", partial) }
      try body(partial)
      try moveIntoPlace(partial, place)
    } catch {
      try? remove(partial)
      guard error.systemError == ENOSPC || error.systemError == EDQUOT else { throw error }
      throw FileError(
        .io, place.path,
        "no space left on device writing \((error.path as NSString).lastPathComponent); "
          + spaceMessage(needed: neededBytes, in: place.parent), systemError: error.systemError)
    }
  }

  private static func checkPlace(_ path: String, replacing: Bool) throws(FileError) {
    guard FileKind.of(path) != .absent else { return }
    guard replacing else {
      throw FileError(.io, path, "exists already; remove it or set another output_dir")
    }
    guard FileKind.of(path + "/" + CheckpointManifest.fileName) == .file else {
      throw FileError(
        .io, path,
        "exists and is no checkpoint (it has no \(CheckpointManifest.fileName)), so it "
          + "is not replaced; remove it or set another output_dir")
    }
  }

  private static func checkSpace(
    in directory: String, for path: String, neededBytes: Int
  ) throws(FileError) {
    guard let free = freeBytes(in: directory), free < neededBytes else { return }
    throw FileError(
      .io, path, "no space left on device: " + spaceMessage(needed: neededBytes, in: directory),
      systemError: ENOSPC)
  }

  private static func spaceMessage(needed: Int, in directory: String) -> String {
    let amounts = [
      needed > 0 ? "\(needed) bytes needed" : nil, freeBytes(in: directory).map { "\($0) free" },
    ]
    return amounts.compactMap { $0 }.joined(separator: ", ") + "; free space or set output_dir"
  }

  /// The bytes that may still be written below `directory`; nil when the file system does not say.
  static func freeBytes(in directory: String) -> Int? {
    var information = statvfs()
    guard unsafe statvfs(directory, &information) == 0, information.f_blocks > 0 else { return nil }
    let (bytes, overflow) = information.f_bavail.multipliedReportingOverflow(
      by: UInt(information.f_frsize))
    return overflow ? nil : Int(clamping: bytes)
  }

  private static func moveIntoPlace(
    _ partial: String, _ place: SiblingName
  ) throws(FileError) {
    let replaces = FileKind.of(place.path) != .absent
    if replaces {
      try remove(place.replaced)
      guard unsafe rename(place.path, place.replaced) == 0 else {
        throw .system("replacing", place.path)
      }
    }
    guard unsafe rename(partial, place.path) == 0 else {
      let error = FileError.system("writing", place.path)
      if replaces { unsafe rename(place.replaced, place.path) }
      throw error
    }
    try syncDirectory(place.parent)
    if replaces { try remove(place.replaced) }
  }

  /// Brings every file and directory below `path` to the disk, and describes the files.
  private static func syncAndHash(
    _ path: String, threads: Int?
  ) throws(FileError) -> [CheckpointManifest.File] {
    let tree = try FileTree(path)
    for name in tree.files {
      precondition(
        !CheckpointManifest.ownFiles.contains(name), "\(name) is written by the checkpoint itself")
      try OpenFile(reading: path + "/" + name).sync()
    }
    for name in tree.directories { try syncDirectory(path + "/" + name) }
    return try FileHashes.of(tree.files, in: path, threads: threads)
  }

  static func syncDirectory(_ path: String) throws(FileError) {
    let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("opening", path) }
    defer { close(descriptor) }
    // Some network file systems cannot sync a directory and say so with EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw .system("syncing", path) }
  }

  /// Whether a directory says itself what it holds.
  public static func hasManifest(_ path: String) -> Bool {
    FileKind.of(path + "/" + CheckpointManifest.fileName) == .file
  }

  /// What a directory is called: the last part of its real path.
  public static func name(of path: String) -> String { SiblingName.name(ofDirectory: path) }

  /// Removes a checkpoint so that none is ever there in part: it is hidden first, and ``recover(in:)`` ends what was
  /// begun.
  public static func discard(_ path: String) throws(FileError) {
    let hidden = SiblingName.partial(of: path)
    guard unsafe rename(path, hidden) == 0 else { throw .system("removing", path) }
    try remove(hidden)
  }

  /// Removes what is at `path`, with all below it; links are removed, not followed.
  static func remove(_ path: String) throws(FileError) {
    guard FileKind.of(path) != .absent else { return }
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      throw FileError(.io, path, "cannot be removed: \(error)")
    }
  }
}
