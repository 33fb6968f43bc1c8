import Corpus
import Tokenizers

/// A tokenizer of one piece a letter: `a` is 4, `b` is 5, …; other characters are unknown, `_` gives no
/// piece at all.
struct LetterTokenizer: Tokenizer {
  var vocabularySize: Int { 30 }
  var specials: SpecialTokens { SpecialTokens(start: 0, end: 1, padding: 2, unknown: 3, mask: nil) }
  var files: [(name: String, bytes: [UInt8])] { [] }

  func encode(_ text: String) -> [Int32] {
    text.unicodeScalars.filter { $0 != "_" }.map {
      ("a"..."z").contains($0) ? Int32($0.value - 97 + 4) : specials.unknown
    }
  }

  func encode(words: [String]) -> [[Int32]] { words.map(encode) }

  func piece(of id: Int32) -> String { "\(id)" }
}
