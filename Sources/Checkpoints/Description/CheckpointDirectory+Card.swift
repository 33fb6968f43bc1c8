public import Files
import Foundation

extension CheckpointDirectory {
  /// Writes the model card of a checkpoint anew, and its manifest with it: a new identity, which nobody has signed.
  ///
  /// All other files stay as they are. Cost: they are not read.
  ///
  /// - Parameter name: What the model is called; nil for the name of the directory.
  /// - Throws: ``FileError``: `missing` where there is no manifest.
  public static func writeCard(
    _ path: String, name: String? = nil, licence: String? = nil
  ) throws(FileError) {
    let path = URL(fileURLWithPath: path).standardizedFileURL.path
    let manifest = try checkSizes(path)
    let card = ModelCard(name: name ?? SiblingName.name(ofDirectory: path), facts: manifest.facts)
      .text(over: try ModelCard.text(in: path), licence: licence)
    try assemble(at: path, replacing: true, neededBytes: 0) { (partial) throws(FileError) in
      for file in manifest.files where file.name != ModelCard.fileName {
        let (old, new) = (path + "/" + file.name, partial + "/" + file.name)
        try FileTree.makeDirectory(SiblingName(new).parent)
        // The same file under a second name, where the file system has such.
        if unsafe link(old, new) != 0 { try WholeFile.copy(old, to: new) }
      }
      try WholeFile.write(Array(card.utf8), to: partial + "/" + ModelCard.fileName)
      var files = manifest.files.filter { $0.name != ModelCard.fileName }
      files += try FileHashes.of([ModelCard.fileName], in: partial)
      files.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
      let written = CheckpointManifest(
        programVersion: manifest.programVersion, files: files, facts: manifest.facts)
      try WholeFile.write(written.text, to: partial + "/" + CheckpointManifest.fileName)
      for name in try FileTree(partial).directories { try syncDirectory(partial + "/" + name) }
      try syncDirectory(partial)
    }
  }
}
