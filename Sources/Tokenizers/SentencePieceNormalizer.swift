/// The normalisation of SentencePiece's library, without the library: it can be asked for a line's bytes
/// alone, where the library also encodes them.
///
/// At each place the longest rule is followed; runs of blanks become one, those at the ends go, a mark
/// U+2581 stands for each blank and before the text, as the model says.
struct SentencePieceNormalizer: Sendable {
  /// The UTF-8 of U+2581.
  static let mark: [UInt8] = [0xE2, 0x96, 0x81]

  private let map: CharacterMap?
  private let addsMark: Bool
  private let removesBlanks: Bool
  /// Of ASCII characters: no rule begins with it alone or with it and another ASCII character.
  private let isPlain: [Bool]

  /// Takes the rules of a model file; nil if the library does more than these rules say.
  init?(_ file: SentencePieceFile) {
    let settings = file.normalizer
    guard settings.escapesBlanks, !settings.marksEnd,
      !file.pieces.contains(where: { $0.kind == .userDefined })
    else { return nil }
    map = file.characterMap.isEmpty ? nil : try? CharacterMap(file.characterMap)
    if map == nil, !file.characterMap.isEmpty { return nil }
    addsMark = settings.addsMark
    removesBlanks = settings.removesBlanks
    let map = map
    isPlain = (0..<128).map { first in
      guard first != 0x20, first != 0, let map else { return first != 0x20 && first != 0 }
      return (1..<128).allSatisfy { second in
        map.longest([UInt8(first), UInt8(second)], from: 0) == nil
      }
    }
  }

  /// Writes the normalised form of `text`, valid UTF-8, over `result`.
  ///
  /// - Returns: Whether the result is the library's: not for text with a zero byte, and with rules that
  ///   end within a character.
  func normalize(_ text: ArraySlice<UInt8>, into result: inout [UInt8]) -> Bool {
    result.removeAll(keepingCapacity: true)
    var place = text.startIndex
    if removesBlanks {
      while place < text.endIndex {
        guard let (length, becomes) = rule(text, place) else { return false }
        guard becomes?.elementsEqual([0x20]) ?? (text[place] == 0x20) else { break }
        place += length
      }
    }
    if place == text.endIndex { return true }
    if addsMark { result += SentencePieceNormalizer.mark }
    var isAfterBlank = removesBlanks
    while place < text.endIndex {
      let byte = text[place]
      if byte < 0x80, isPlain[Int(byte)],
        place + 1 == text.endIndex || text[place + 1] < 0x80
      {
        result.append(byte)
        isAfterBlank = false
        place += 1
        continue
      }
      guard let (length, becomes) = rule(text, place) else { return false }
      append(becomes ?? text[place..<(place + length)], &isAfterBlank, to: &result)
      place += length
    }
    guard removesBlanks else { return true }
    while result.count >= 3, result.suffix(3).elementsEqual(SentencePieceNormalizer.mark) {
      result.removeLast(3)
    }
    return true
  }

  private func append(
    _ bytes: ArraySlice<UInt8>, _ isAfterBlank: inout Bool, to result: inout [UInt8]
  ) {
    var rest = bytes
    if isAfterBlank { rest = rest.drop { $0 == 0x20 } }
    for byte in rest {
      if byte == 0x20 { result += SentencePieceNormalizer.mark } else { result.append(byte) }
    }
    if let last = rest.last { isAfterBlank = removesBlanks && last == 0x20 }
  }

  /// The bytes that the longest rule takes and what they become; a character and nil if no rule does. Nil
  /// where the library is to be asked.
  private func rule(_ text: ArraySlice<UInt8>, _ place: Int) -> (Int, ArraySlice<UInt8>?)? {
    if text[place] == 0 { return nil }
    guard let (length, becomes) = map?.longest(text, from: place) else {
      return (UTF8.width(ofLead: text[place]), nil)
    }
    let end = place + length
    return end == text.endIndex || text[end] & 0xC0 != 0x80 ? (length, becomes) : nil
  }
}
