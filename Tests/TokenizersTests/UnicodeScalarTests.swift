import Determinism
import Testing
import Tokenizers

@Suite struct UnicodeScalarTests {
  private let scalars = (0...0x10FFFF).compactMap { Unicode.Scalar(UInt32($0)) }

  @Test func whiteSpaceIsThatOfUnicode() {
    let differing = scalars.filter { $0.isWhiteSpace != $0.properties.isWhitespace }
    #expect(differing == [])
  }

  /// In any order: each is beside 40 others.
  @Test func scalarsThatAreGraphemesAloneNeverJoin() {
    let alone = scalars.filter(\.isGraphemeAlone)
    #expect(alone.count > 30000)
    var random = RandomStream(seed: 3, "scalars")
    for _ in 0..<20 {
      var text = alone
      for index in text.indices { text.swapAt(index, index + random.below(text.count - index)) }
      let graphemes = String(String.UnicodeScalarView(text)).map { Array($0.unicodeScalars) }
      #expect(graphemes.filter { $0.count > 1 } == [])
    }
    // The first and the last of each range of them, beside all others.
    let value: (Unicode.Scalar) -> UInt32 = \.value
    let known = Set(alone.map(value))
    let ends = alone.filter { !known.contains($0.value - 1) || !known.contains($0.value + 1) }
    for end in ends {
      let text = alone.flatMap { [end, $0] }
      #expect(String(String.UnicodeScalarView(text)).count == text.count, "\(end)")
    }
  }
}
