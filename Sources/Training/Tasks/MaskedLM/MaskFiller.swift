import Checkpoints
import Corpus
import Files
import Foundation
import Model
import Tensors
import Tokenizers

/// A masked language model read from a directory, ready to guess what hides behind masks.
struct MaskFiller {
  /// A token that may stand in a mask's place.
  struct Guess: Sendable, Equatable {
    var id: Int32
    /// As the vocabulary spells it.
    var piece: String
    /// Its probability.
    var score: Double
  }

  /// How the tokenizer spells its mask.
  let mask: String
  private let loaded: LoadedModel<MaskedLanguageModel>
  private let maskID: Int32

  /// Reads a checkpoint written here, or by `transformers` for masked language modelling.
  ///
  /// - Throws: ``FileError``, ``FileError`` for its tokenizer, ``RunError`` if that has no mask.
  init(directory: String) throws {
    loaded = try LoadedModel(
      directory: directory, config: try HuggingFaceConfig(directory: directory),
      MaskedLanguageModel.init)
    guard let id = loaded.tokenizer.specials.mask else {
      throw RunError(.data, "\(directory): the tokenizer has no mask")
    }
    maskID = id
    mask = loaded.tokenizer.piece(of: id)
  }

  /// Checks that nobody has written to the checkpoint since it was read.
  func confirmUnwritten() throws(FileError) { try loaded.model.confirmUnwritten() }

  /// The likeliest tokens for each mask in a text, best first.
  ///
  /// - Parameter count: How many for each mask; fewer if the vocabulary is smaller.
  /// - Returns: A list for each mask, in their order.
  /// - Throws: ``RunError`` if the text is longer than the model can take.
  func guesses(
    _ text: String, count: Int, in workspace: Workspace
  ) throws(RunError) -> [[Guess]] {
    let (network, tokenizer) = (loaded.network, loaded.tokenizer)
    var ids = [tokenizer.specials.start]
    for (index, part) in text.components(separatedBy: mask).enumerated() {
      if index > 0 { ids.append(maskID) }
      // A mask takes the blank before it.
      ids += tokenizer.encode(part.trimmingTrailingBlanks)
    }
    ids.append(tokenizer.specials.end)
    let longest = network.configuration.longestSequence
    guard ids.count <= longest else {
      throw RunError(
        .data, "has \(ids.count) tokens, and \(loaded.path) takes \(longest); shorten it")
    }
    let places = ids.indices.filter { ids[$0] == maskID }.map { Int32($0) }
    if places.isEmpty { return [] }
    let space = RowSpace(segmentBounds: [0, ids.count])
    let input = EncoderInput(
      space: space, tokenIDs: ids, positions: ids.indices.map { Int32($0) },
      tokenTypes: ids.map { _ in 0 }, sequenceBounds: [0, ids.count])
    let tape = Tape(workspace: workspace, parameters: loaded.model.parameters)
    let scores = network.scores(
      input, rows: places, as: space.gathering(places, segmentBounds: [0, places.count]), on: tape)
    return scores.withSpan { span in
      places.indices.map { row in
        let logits = (0..<scores.columns).map { Double(span[row * scores.columns + $0]) }
        let largest = logits.max() ?? 0
        let total = logits.reduce(0) { $0 + exp($1 - largest) }
        // Ids without a piece are rows that the tokenizer does not use.
        let best = (0..<min(logits.count, tokenizer.vocabularySize)).sorted {
          logits[$0] == logits[$1] ? $0 < $1 : logits[$0] > logits[$1]
        }.prefix(count)
        return best.map { id in
          Guess(
            id: Int32(id), piece: tokenizer.piece(of: Int32(id)),
            score: exp(logits[id] - largest) / total)
        }
      }
    }
  }
}

extension String {
  fileprivate var trimmingTrailingBlanks: String {
    var text = self[...]
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}
