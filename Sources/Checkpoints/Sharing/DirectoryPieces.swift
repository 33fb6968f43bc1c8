import Files

/// A directory of files, cut into the pieces of its ``Recipe``.
struct DirectoryPieces {
  let path: String
  let recipe: Recipe
  private let places: [String: (file: String, range: Range<Int>)]
  private let tensors: [String: Recipe.Piece]

  /// Reads and hashes all files of `path`.
  ///
  /// - Throws: ``FileError`` where a file is not what the directory's manifest says, if it has one.
  init(hashing path: String, threads: Int? = nil) throws(FileError) {
    let name = SiblingName.name(ofDirectory: path)
    guard FileKind.of(path + "/" + CheckpointManifest.fileName) == .file else {
      // A directory of the Hub's cache is made of links; what is hidden in it is not the model's.
      let names = try FileTree(path, allowingLinks: true, skippingHidden: true).files
      try self.init(
        path, name: name, try FileHashes.of(names, in: path, isLenient: true, threads: threads))
      return
    }
    let manifest = try CheckpointDirectory.checkSizes(path)
    let files = try FileHashes.of(try FileTree(path).files, in: path, threads: threads)
    try CheckpointDirectory.compare(files, with: manifest, path)
    try self.init(path, name: name, files)
  }

  /// Believes the manifest of `path` what its files and tensors hash to, if it has one: what is made of them has to be
  /// hashed.
  init(believing path: String) throws(FileError) {
    let name = SiblingName.name(ofDirectory: path)
    guard FileKind.of(path + "/" + CheckpointManifest.fileName) == .file else {
      try self.init(hashing: path)
      return
    }
    let files = try CheckpointDirectory.checkSizes(path).files
    guard files.allSatisfy({ !FileHashes.isSafetensors($0.name) || !$0.tensors.isEmpty }) else {
      try self.init(hashing: path)
      return
    }
    let own = CheckpointManifest.ownFiles.sorted().filter { FileKind.of(path + "/" + $0) == .file }
    try self.init(path, name: name, files + FileHashes.of(own, in: path))
  }

  private init(
    _ path: String, name: String, _ files: [CheckpointManifest.File]
  ) throws(FileError) {
    self.path = path
    var places: [String: (String, Range<Int>)] = [:]
    var list: [Recipe.File] = []
    for file in files {
      var pieces: [Recipe.Piece] = []
      func add(_ hash: String, _ range: Range<Int>, _ tensor: String?, _ kind: ElementKind) {
        if range.isEmpty { return }
        pieces.append(
          Recipe.Piece(sha256: hash, byteCount: range.count, tensor: tensor, kind: kind))
        places[hash] = (file.name, range)
      }
      let whole = path + "/" + file.name
      if FileHashes.isSafetensors(file.name), !file.tensors.isEmpty {
        let open = try OpenFile(reading: whole)
        let entries = try SafetensorsHeader(of: open, fileLength: file.size).tensors
        let hashes = Dictionary(file.tensors.map { ($0.name, $0.sha256) }) { first, _ in first }
        let header = 0..<(entries.first?.byteRange.lowerBound ?? file.size)
        add(try SHA256.digest(of: open, header), header, nil, .bytes)
        for entry in entries {
          guard let hash = hashes[entry.name] else {
            throw FileError(
              .data, whole, field: entry.name, "is not among the tensors of the manifest")
          }
          add(hash, entry.byteRange, entry.name, ElementKind(entry.elementType))
        }
      } else {
        add(file.sha256, 0..<file.size, nil, .bytes)
      }
      list.append(Recipe.File(name: file.name, sha256: file.sha256, pieces: pieces))
    }
    recipe = Recipe(name: name, files: list)
    self.places = places
    tensors = recipe.tensors
  }

  func contains(_ hash: String) -> Bool { places[hash] != nil }

  /// The piece of a hash, or some of its bytes; nil if the directory has none.
  func reader(
    of hash: String, part: Range<Int>? = nil
  ) throws(FileError) -> (any BlockReader)? {
    guard let place = places[hash] else { return nil }
    let start = place.range.lowerBound
    let range = part.map { start + $0.lowerBound..<start + $0.upperBound } ?? place.range
    return try FileReader(path + "/" + place.file, range)
  }

  /// The piece that holds the tensor of a name.
  func piece(ofTensor name: String) -> Recipe.Piece? { tensors[name] }
}
