import CSentencePiece
import Files
import Foundation

/// The kind of a SentencePiece model.
public enum SentencePieceKind: String, Sendable, CaseIterable {
  case unigram, bpe
}

/// One training of a SentencePiece model with XLM-R's normalisation and special tokens.
struct SentencePieceTraining {
  var kind: SentencePieceKind
  /// Special tokens included, as the model numbers them: `<unk>`, `<s>` and `</s>`.
  var pieceCount: Int32
  var characterCoverage: Double
  /// About how many bytes the sentences have.
  var expectedBytes: Int

  enum Failure: Error {
    /// The library's reason, on one line.
    case refused(String)
    case sentences(FileError)
  }

  /// The bytes of the model's file.
  ///
  /// Equal sentences give equal bytes, whatever the machine's number of processors. The corresponding C++ function is
  /// `SentencePieceTrainer::Train`, which keeps all sentences.
  func train(on feed: TrainingFeed) throws(Failure) -> [UInt8] {
    var training = csp_training()
    training.pieces = pieceCount
    training.is_bpe = kind == .bpe
    // Well below the 2³¹ from which on the library needs it, since the count is an estimate.
    training.is_large = expectedBytes > 1 << 30
    training.character_coverage = characterCoverage
    training.sentence_bytes = Int32(TrainingFeed.partLimit)

    var count = 0
    var reason = [CChar](repeating: 0, count: 1000)
    let bytes = unsafe csp_train(
      &training,
      { context, bytes in
        guard let context = unsafe context, let bytes = unsafe bytes else { return -2 }
        let feed = unsafe Unmanaged<TrainingFeed>.fromOpaque(context).takeUnretainedValue()
        return unsafe feed.point(&bytes.pointee)
      }, Unmanaged.passUnretained(feed).toOpaque(), &count, &reason, reason.count)
    if let error = feed.failure { throw .sentences(error) }
    guard let bytes = unsafe bytes else {
      let text = String(
        decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      throw .refused(SentencePieceTraining.plain(text))
    }
    defer { unsafe csp_free(bytes) }
    return unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
  }

  /// What a reason of the library says in numbers of ids, or its words on one line.
  ///
  /// The library counts pieces, which two ids are none of: `<pad>` and `<mask>`.
  static func plain(_ reason: String) -> String {
    let line = reason.split(whereSeparator: \.isNewline).joined(separator: " ")
    let numbers = line.split { !("0"..."9" ~= $0) }.compactMap { Int($0) }
    if line.contains("required_chars. "), let needed = numbers.last {
      return "it has characters for \(needed + 2) ids at least; ask for more, or for less coverage"
    }
    if line.contains("(vocab_size) >= (0)") {
      return "it has more characters than that; ask for more ids, or for less coverage"
    }
    if line.contains("set it to a value <= "), let most = numbers.last {
      return "it bears \(most + 2) ids at most; ask for fewer, or add text"
    }
    return line
  }
}
