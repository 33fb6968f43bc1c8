import Files

/// Finds the lines that were there before, in memory that does not grow with the text.
///
/// Each line that is not blank becomes a record of its hash, the first half of SHA-256, and its ordinal.
/// Records are sorted on the disk; of those with one hash all but the first name a line to leave out, and
/// these are sorted again, by ordinal.
enum DuplicateLines {
  struct HashRecord: Comparable, BitwiseCopyable {
    var high: UInt64
    var low: UInt64
    var ordinal: Int

    static func < (a: HashRecord, b: HashRecord) -> Bool {
      if a.high != b.high { return a.high < b.high }
      if a.low != b.low { return a.low < b.low }
      return a.ordinal < b.ordinal
    }
  }

  /// Writes the ordinals of the lines to leave out, in order, to the directory's file of duplicates.
  static func find(
    _ plan: PackingPlan, to place: PackingDirectory,
    event: (PackingEvent) throws(FileError) -> Void
  ) throws(FileError) {
    try place.removeSorting()
    try OutputFile.makeDirectory(place.sorting)
    let hashes = ExternalSorter<HashRecord>(place.sorting + "/hashes", plan.sorting)
    try hash(plan, into: hashes, event: event)
    let ordinals = ExternalSorter<Int>(place.sorting + "/ordinals", plan.sorting)
    var last: HashRecord?
    try hashes.drain { (record) throws(FileError) in
      if let last, last.high == record.high, last.low == record.low {
        try ordinals.add(record.ordinal)
      } else {
        last = record
      }
    }
    let partial = place.sorting + "/duplicates"
    let file = try RecordWriter<Int>(partial, bufferBytes: plan.sorting.fileBytes)
    try ordinals.drain { (ordinal) throws(FileError) in try file.add(ordinal) }
    try file.finish()
    try OutputFile.rename(partial, to: place.duplicates)
    try place.removeSorting()
  }

  private static func hash(
    _ plan: PackingPlan, into sorter: ExternalSorter<HashRecord>,
    event: (PackingEvent) throws(FileError) -> Void
  ) throws(FileError) {
    var report = PackingProgress(
      phase: .hashing, language: plan.language, bytes: 0, lines: 0, tokens: 0, share: 0)
    let pass = TextPass(plan, from: TextPosition()) {
      let hasher = ShortSHA256()
      return { (block, _) throws(FileError) in
        try block.validate()
        var records: [HashRecord] = []
        records.reserveCapacity(block.lineCount)
        var lines = LinesOfBlock(block)
        while let line = lines.next() {
          if line.isBlank(in: block.bytes.span) { continue }
          let (high, low) = hasher.hash(block.bytes.span.extracting(line.text))
          records.append(HashRecord(high: high, low: low, ordinal: line.ordinal))
        }
        return (records, block.bytes.count, block.lineCount)
      }
    }
    defer { pass.stop() }
    while let (records, bytes, lines) = try pass.next() {
      for record in records { try sorter.add(record) }
      report.bytes += bytes
      report.lines += lines
      report.share = pass.share
      try event(.progress(report))
    }
  }
}

/// The ordinals of the lines to leave out, read as they are needed.
final class DuplicateList {
  private let reader: RecordReader<Int>

  /// Opens the file of duplicates at the first one that is at least `ordinal`.
  init(_ path: String, from ordinal: Int) throws(FileError) {
    reader = try RecordReader(path, bufferBytes: 1 << 16)
    try reader.skip { $0 < ordinal }
  }

  /// The ordinals below `ordinal` that were not given before.
  func next(below ordinal: Int) throws(FileError) -> [Int] {
    var found: [Int] = []
    while let first = reader.head, first < ordinal {
      found.append(first)
      try reader.advance()
    }
    return found
  }
}
