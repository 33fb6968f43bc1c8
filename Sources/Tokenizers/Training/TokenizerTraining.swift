public import Files

/// The training of a tokenizer on text of many languages: what to train and on what.
public struct TokenizerTraining: Sendable, Equatable {
  /// In the order of their codes, which differ.
  public let texts: [TrainingText]
  public var kind = SentencePieceKind.unigram
  /// All ids, special tokens included.
  public var vocabularySize = 32_002
  /// The exponent of the languages' shares: 1 is natural, 0 gives every language the same.
  public var samplingAlpha = 0.3
  /// The share of all characters that pieces are made of; the rarest others are unknown.
  public var characterCoverage = 0.9995
  /// The lines drawn at most, over all languages.
  public var lineLimit = 1_000_000
  public var seed: UInt64 = 1

  /// The values that ``vocabularySize`` may have.
  public static let vocabularySizes = 8...8_000_000
  /// The values that ``characterCoverage`` may have, to which the library holds.
  public static let characterCoverages = 0.98...1

  /// - Precondition: There is a text, each has files, and their languages differ.
  public init(texts: [TrainingText]) {
    precondition(!texts.isEmpty && !texts.contains { $0.files.isEmpty }, "no files in \(texts)")
    self.texts = texts.sorted { $0.language.utf8.lexicographicallyPrecedes($1.language.utf8) }
    for (one, other) in zip(self.texts, self.texts.dropFirst()) {
      precondition(one.language != other.language, "two texts of \(one.language)")
    }
  }

  /// Counts, draws, trains, writes the tokenizer, and measures it as it was written.
  ///
  /// Equal text and settings give equal bytes. The files are read three times; of their lines memory holds those that
  /// are drawn.
  ///
  /// - Parameters:
  ///   - directory: Where the files go; must not exist, or be empty. It appears with all of them or not at all.
  ///   - progress: Is told what begins, in a few words.
  /// - Throws: ``FileError`` for text that cannot be read, a vocabulary size or coverage that the text does not
  ///   bear, and a directory that cannot be written.
  /// - Precondition: ``lineLimit`` is positive, ``samplingAlpha`` at least 0, ``vocabularySize`` one of
  ///   ``vocabularySizes``, and ``characterCoverage`` one of ``characterCoverages``.
  public func run(
    to directory: String, progress: (String) -> Void = { _ in }
  ) throws(FileError) -> TokenizerReport {
    precondition(Self.vocabularySizes.contains(vocabularySize), "\(vocabularySize) ids")
    precondition(
      Self.characterCoverages.contains(characterCoverage), "coverage of \(characterCoverage)")
    let place = try TokenizerDirectory(new: directory)

    progress("counting the lines of \(texts.count) \(texts.count == 1 ? "language" : "languages")")
    var sizes: [TrainingText.Size] = []
    for text in texts {
      let size = try text.size()
      guard size.lines > 0 else {
        throw FileError(.data, text.files[0], "has no line of text; leave \(text.language) out")
      }
      sizes.append(size)
    }
    let draw = TrainingDraw(
      seed: seed, lineCounts: sizes.map(\.lines), limit: lineLimit, alpha: samplingAlpha)
    let expectedBytes = zip(sizes, draw.quotas).reduce(0.0) {
      $0 + Double($1.0.bytes) / Double($1.0.lines) * Double($1.1)
    }

    let drawn = draw.quotas.reduce(0, +)
    progress("training \(vocabularySize) ids (\(kind.rawValue)) on \(drawn) lines")
    let training = SentencePieceTraining(
      kind: kind, pieceCount: Int32(vocabularySize - 2), characterCoverage: characterCoverage,
      expectedBytes: Int(min(expectedBytes, 0x1p60)))
    let model: [UInt8]
    do throws(SentencePieceTraining.Failure) {
      model = try training.train(on: TrainingFeed(texts, draw))
    } catch {
      switch error {
      case .sentences(let error): throw error
      case .refused(let reason):
        throw FileError(
          .data, directory,
          "this text does not make a tokenizer of \(vocabularySize) ids: \(reason)"
        )
      }
    }
    guard let tokenizer = TrainedTokenizer(model) else {
      throw FileError(
        .data, directory,
        "SentencePiece made a model with a piece that is spelt as a special token such as <mask>; take those out of the text"
      )
    }

    progress("writing \(directory) and measuring it")
    try place.write(tokenizer.files())
    return try TokenizerReport(
      of: TokenizerLoader.load(directory), on: texts, lines: draw.lineCounts, drawn: draw.quotas)
  }
}
