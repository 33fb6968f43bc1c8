import Files

/// Writes the shards of one part of a language, `train` or `dev`, one after the other.
///
/// A shard is a hidden file until it is whole. What ``state`` tells after ``synchronize()`` is enough to go
/// on from there.
final class ShardWriter {
  /// Where the writing stands.
  struct State: Equatable, Codable {
    /// The shards that are whole.
    var shards = 0
    /// Of the shard that is being written.
    var tokens = 0
    var documents = 0
    var lines = 0
    /// CRC-32 of the ids that are in the file.
    var checksum: UInt32 = 0
    /// Whether pieces were written after the last end of a document.
    var isDocumentOpen = false
    /// Of all shards.
    var counts = PackedCorpus.Counts()
  }

  let directory: String
  private(set) var state: State
  private let plan: PackedCorpus.Index
  private var file: OutputFile?
  /// Ids that are not in the file yet.
  private var buffer: [UInt8] = []
  private let isNarrow: Bool
  private static let bufferBytes = 1 << 18

  /// Goes on writing to a directory that is there.
  ///
  /// - Parameter plan: An index without counts and shards.
  init(directory: String, plan: PackedCorpus.Index, state: State) throws(FileError) {
    self.directory = directory
    self.plan = plan
    self.state = state
    isNarrow = ShardHeader.elementBytes(vocabularySize: plan.vocabularySize) == 2
    buffer.reserveCapacity(ShardWriter.bufferBytes + (1 << 16))
    try open()
  }

  private var finalPath: String { "\(directory)/\(PackedCorpus.shardName(state.shards))" }
  private var partialPath: String {
    "\(directory)/.\(PackedCorpus.shardName(state.shards)).partial"
  }

  private func open() throws(FileError) {
    file = nil
    // A shard that was made whole after the state was kept is a beginning again.
    if OutputFile.exists(finalPath) { try OutputFile.rename(finalPath, to: partialPath) }
    // Of nothing kept, nothing may be left.
    let ids = state.tokens * (isNarrow ? 2 : 4)
    let kept = state.tokens == 0 ? 0 : ShardHeader.byteCount + ids
    file = try OutputFile(partialPath, keeping: kept)
    if kept == 0 {
      try file?.write([UInt8](repeating: 0, count: ShardHeader.byteCount).span)
    }
  }

  /// Whether the next line belongs to the next shard: ``finishShard()`` is due before it.
  var isFull: Bool { state.tokens >= plan.shardTokens }

  /// Adds the pieces of a line.
  func append(_ ids: Span<Int32>, of line: EncodedLine) throws(FileError) {
    for index in ids.indices { add(ids[index]) }
    if !ids.isEmpty { state.isDocumentOpen = true }
    state.lines += 1
    state.tokens += ids.count
    state.counts.lines += 1
    state.counts.tokens += ids.count
    state.counts.words += line.words
    state.counts.unknownTokens += line.unknownTokens
    state.counts.bytes += line.bytes
    if buffer.count >= ShardWriter.bufferBytes { try flush() }
  }

  /// Ends the document, if one is open.
  func endDocument() {
    guard state.isDocumentOpen else { return }
    add(plan.documentEnd)
    state.isDocumentOpen = false
    state.tokens += 1
    state.documents += 1
    state.counts.tokens += 1
    state.counts.documents += 1
  }

  func countDuplicate() { state.counts.duplicateLines += 1 }

  @inline(__always) private func add(_ id: Int32) {
    precondition(id >= 0 && id < plan.vocabularySize, "id \(id) of \(plan.vocabularySize)")
    let bits = UInt32(bitPattern: id)
    buffer.append(UInt8(truncatingIfNeeded: bits))
    buffer.append(UInt8(truncatingIfNeeded: bits >> 8))
    if !isNarrow {
      buffer.append(UInt8(truncatingIfNeeded: bits >> 16))
      buffer.append(UInt8(truncatingIfNeeded: bits >> 24))
    }
  }

  private func flush() throws(FileError) {
    let bytes = buffer
    try file?.write(bytes.span)
    state.checksum = Checksum.crc32(bytes.span, after: state.checksum)
    buffer.removeAll(keepingCapacity: true)
  }

  /// Returns when all that ``state`` tells of is on the disk.
  func synchronize() throws(FileError) {
    try flush()
    try file?.synchronize()
  }

  /// Makes the shard whole and begins the next one.
  func finishShard() throws(FileError) {
    try close()
    try open()
  }

  /// Makes the last shard whole, unless nothing is in it.
  func finish() throws(FileError) {
    if state.tokens > 0 {
      try close()
    } else {
      file = nil
      try OutputFile.remove(partialPath)
    }
  }

  private func close() throws(FileError) {
    try flush()
    let header = ShardHeader(
      vocabularySize: plan.vocabularySize, documentEnd: plan.documentEnd, tokens: state.tokens,
      documents: state.documents, lines: state.lines, checksum: state.checksum)
    try file?.write(header.bytes.span, at: 0)
    try file?.synchronize()
    file = nil
    try OutputFile.rename(partialPath, to: finalPath)
    let counts = state.counts
    state = State(shards: state.shards + 1, isDocumentOpen: state.isDocumentOpen, counts: counts)
  }

  /// The index of what was written; reads the header of each shard.
  func index() throws(FileError) -> PackedCorpus.Index {
    var index = plan
    index.counts = state.counts
    for number in 0..<state.shards {
      let name = PackedCorpus.shardName(number)
      let path = "\(directory)/\(name)"
      let header = try ShardHeader(
        OpenFile(input: path).read(ShardHeader.byteCount, at: 0), path: path)
      index.shards.append(
        PackedCorpus.Shard(
          name: name, tokens: header.tokens, documents: header.documents, lines: header.lines,
          checksum: header.checksum))
    }
    return index
  }
}

/// What is told of a line beside its ids.
struct EncodedLine {
  /// Where the ids end in those of the block.
  var idsEnd = 0
  /// The runs of bytes between ASCII white space.
  var words = 0
  var unknownTokens = 0
  /// Without the line's end.
  var bytes = 0
}
