public import Tokenizers

/// How sentences are cut into sequences for a model.
public struct WindowShape: Sendable, Equatable {
  /// The most tokens of a sequence, with the two special tokens at its ends.
  public let maxLength: Int
  /// The most tokens that a window repeats of the one before.
  public let overlap: Int

  /// - Precondition: `maxLength ≥ 3` and `0 ≤ overlap < maxLength − 2`.
  public init(maxLength: Int, overlap: Int) {
    precondition(maxLength >= 3, "a window of \(maxLength) tokens has no room for a word")
    precondition(
      overlap >= 0 && overlap < maxLength - 2,
      "windows of \(maxLength) tokens cannot overlap by \(overlap)")
    self.maxLength = maxLength
    self.overlap = overlap
  }

  /// The room for words in a window.
  public var capacity: Int { maxLength - 2 }
}

/// A sentence as token ids, in one window or several that overlap.
///
/// Every word has exactly one scored token: its first piece, in the window that shows the most tokens on
/// the narrower side of the word; a side that reaches the end of the sentence counts as unlimited,
/// and the earlier of equal windows wins. No word is lost.
public struct EncodedSentence: Sendable, Equatable {
  /// The ids of all windows, one after the other, each with its special tokens. Shape `[tokens]`.
  public var tokens: [Int32] = []
  /// Token bounds of the windows. Shape `[windows + 1]`.
  public var windowBounds: [Int] = [0]
  /// The scored token of each word, an index into `tokens`, ascending. Shape `[words]`.
  public var wordTokens: [Int32] = []
  /// The words of which pieces were left out because they do not fit in a window.
  public var cutWords = 0
  /// The words with a piece that the tokenizer does not know, or without pieces.
  public var unknownWords = 0

  public var windowCount: Int { windowBounds.count - 1 }

  /// Encodes words by a tokenizer.
  public init(words: [String], tokenizer: some Tokenizer, shape: WindowShape) {
    self.init(pieces: tokenizer.encode(words: words), specials: tokenizer.specials, shape: shape)
  }

  /// Cuts encoded words into windows.
  ///
  /// Windows begin and end between words. A word without pieces becomes the unknown token; a word
  /// longer than a window keeps its first pieces. A window holds as many words as fit; the next begins
  /// with the last words of it that are together at most `overlap` tokens (fewer if the next word needs
  /// the room).
  ///
  /// - Parameters:
  ///   - pieces: The ids of each word, without special tokens. Shape `[words, pieces]`.
  public init(pieces: [[Int32]], specials: SpecialTokens, shape: WindowShape) {
    var ids: [Int32] = []
    var bounds = [0]
    for word in pieces {
      if word.isEmpty {
        ids.append(specials.unknown)
        unknownWords += 1
      } else {
        if word.contains(specials.unknown) { unknownWords += 1 }
        if word.count > shape.capacity { cutWords += 1 }
        ids.append(contentsOf: word.prefix(shape.capacity))
      }
      bounds.append(ids.count)
    }
    let windows = EncodedSentence.windows(bounds: bounds, shape: shape)
    for window in windows {
      tokens.append(specials.start)
      tokens.append(contentsOf: ids[bounds[window.lowerBound]..<bounds[window.upperBound]])
      tokens.append(specials.end)
      windowBounds.append(tokens.count)
    }
    let chosen = EncodedSentence.windowOfWord(windows: windows, bounds: bounds)
    wordTokens = chosen.enumerated().map { word, window in
      let first = bounds[windows[window].lowerBound]
      return Int32(windowBounds[window] + 1 + bounds[word] - first)
    }
  }

  /// The range of words of each window. `bounds` are piece bounds of the words.
  private static func windows(bounds: [Int], shape: WindowShape) -> [Range<Int>] {
    let count = bounds.count - 1
    guard count > 0 else { return [] }
    var windows: [Range<Int>] = []
    var start = 0
    while true {
      var end = start + 1
      while end < count, bounds[end + 1] - bounds[start] <= shape.capacity { end += 1 }
      windows.append(start..<end)
      if end == count { return windows }
      let room = min(shape.overlap, shape.capacity - (bounds[end + 1] - bounds[end]))
      repeat { start += 1 } while bounds[end] - bounds[start] > room
    }
  }

  /// The window in which each word is scored.
  private static func windowOfWord(windows: [Range<Int>], bounds: [Int]) -> [Int] {
    let count = bounds.count - 1
    var chosen = [Int](repeating: -1, count: count)
    var best = [Int](repeating: -1, count: count)
    for (index, window) in windows.enumerated() {
      for word in window {
        let left =
          window.lowerBound == 0 ? Int.max : bounds[word] - bounds[window.lowerBound]
        let right =
          window.upperBound == count ? Int.max : bounds[window.upperBound] - bounds[word + 1]
        if min(left, right) > best[word] {
          best[word] = min(left, right)
          chosen[word] = index
        }
      }
    }
    return chosen
  }
}
