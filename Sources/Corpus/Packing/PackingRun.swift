import Files

/// The pass over the text that writes the shards.
struct PackingRun {
  private let plan: PackingPlan
  private let place: PackingDirectory
  private var journal: PackingJournal
  private let train: ShardWriter
  private let dev: ShardWriter?
  private var report: PackingProgress

  /// Opens the shards where the journal says that they end.
  init(_ plan: PackingPlan, place: PackingDirectory, journal: PackingJournal) throws(FileError) {
    self.plan = plan
    self.place = place
    self.journal = journal
    try OutputFile.makeDirectory(place.train)
    train = try ShardWriter(directory: place.train, plan: journal.plan, state: journal.train)
    report = PackingProgress(
      phase: .packing, language: plan.language, bytes: 0, lines: 0, tokens: 0, share: 0)
    guard plan.devEvery > 0 else {
      dev = nil
      return
    }
    try OutputFile.makeDirectory(place.dev)
    var devPlan = journal.plan
    devPlan.part = "dev"
    dev = try ShardWriter(directory: place.dev, plan: devPlan, state: journal.dev)
  }

  /// Packs the text from the journal's place on.
  mutating func run(event: (PackingEvent) throws(FileError) -> Void) throws(FileError) {
    let duplicates =
      plan.dropDuplicates
      ? try DuplicateList(place.duplicates, from: journal.position.ordinal) : nil
    let tokenizer = plan.tokenizer
    let pass = TextPass(plan, from: journal.position) {
      var encoder = BlockEncoder(tokenizer)
      return { (block, duplicates) throws(FileError) in
        try encoder.encode(block, without: duplicates)
      }
    }
    defer { pass.stop() }
    while let block = try pass.next(without: duplicates) {
      try write(block, event: event)
      report.bytes += block.byteCount
      report.lines += block.lines.count
      report.tokens += block.ids.count
      report.share = pass.share
      try event(.progress(report))
    }
  }

  private mutating func write(
    _ block: EncodedBlock, event: (PackingEvent) throws(FileError) -> Void
  ) throws(FileError) {
    var start = 0
    for (index, line) in block.lines.enumerated() {
      switch line.kind {
      case .blank: endDocuments()
      case .duplicate: train.countDuplicate()
      case .text:
        let isForDev = plan.devEvery > 0 && (journal.keptLines + 1) % plan.devEvery == 0
        let part = isForDev ? dev ?? train : train
        if part.isFull {
          try part.finishShard()
          try event(.shardFinished)
          journal.position = TextPosition(
            source: block.start.source, offset: block.start.offset + line.start,
            line: block.start.line + index, ordinal: block.start.ordinal + index)
          try writeJournal()
          try event(.journalWritten)
        }
        try part.append(block.ids.span.extracting(start..<line.encoded.idsEnd), of: line.encoded)
        journal.keptLines += 1
      }
      start = line.encoded.idsEnd
    }
    if block.endsSource { endDocuments() }
  }

  private func endDocuments() {
    train.endDocument()
    dev?.endDocument()
  }

  /// Keeps where packing stands; all that it tells of is on the disk before.
  private mutating func writeJournal() throws(FileError) {
    try train.synchronize()
    try dev?.synchronize()
    journal.train = train.state
    journal.dev = dev?.state ?? .init()
    try place.write(journal)
  }

  /// Makes the last shards whole and writes the indices, that of `train` last.
  func finish(event: (PackingEvent) throws(FileError) -> Void) throws(FileError)
    -> PackingResult
  {
    try train.finish()
    try dev?.finish()
    try event(.allShardsFinished)
    let devIndex = try dev?.index()
    if let devIndex { try PackedCorpus.writeIndex(devIndex, to: place.dev) }
    try event(.devIndexWritten)
    let trainIndex = try train.index()
    try PackedCorpus.writeIndex(trainIndex, to: place.train)
    try event(.indexWritten)
    try place.removeTraces()
    return PackingResult(train: trainIndex, dev: devIndex)
  }
}
