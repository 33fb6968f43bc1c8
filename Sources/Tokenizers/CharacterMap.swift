/// SentencePiece's compiled rules of normalisation: what each character, or few, becomes.
///
/// The form is four bytes with the size of a double-array trie, the trie of 32-bit units, then the
/// results, each ended by a zero; numbers are little-endian. The units that can be reached are checked
/// once, so that looking up stays within the arrays.
struct CharacterMap: Sendable {
  private let units: [UInt32]
  private let results: [UInt8]
  /// What each ASCII character becomes; nil if it stays.
  private let ascii: [[Unicode.Scalar]?]

  struct Failure: Error { var message: String }

  init(_ bytes: [UInt8]) throws(Failure) {
    func word(_ offset: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }
    guard bytes.count >= 4 else { throw Failure(message: "has \(bytes.count) bytes") }
    let size = Int(word(0))
    guard size > 0, size % 4 == 0, size <= bytes.count - 4 else {
      throw Failure(message: "declares \(size) bytes of trie in \(bytes.count) bytes")
    }
    units = (0..<size / 4).map { word(4 + 4 * $0) }
    results = Array(bytes[(4 + size)...])
    guard String(validating: results, as: UTF8.self) != nil else {
      throw Failure(message: "has results that are not UTF-8")
    }
    let (units, results) = (units, results)
    try CharacterMap.check(units, results)
    ascii = (0..<128).map { CharacterMap.find([UInt8($0)], units, results) }
  }

  /// Follows every path from the root.
  private static func check(_ units: [UInt32], _ results: [UInt8]) throws(Failure) {
    var seen = [Bool](repeating: false, count: units.count)
    var open = [offset(units[0])]
    while let base = open.popLast() {
      // The 256 places that a byte can lead to from here are one block.
      guard base | 0xFF < units.count else {
        throw Failure(message: "has a trie of \(units.count) units that leads to \(base | 0xFF)")
      }
      if seen[base] { continue }
      seen[base] = true
      for byte in 1...0xFF {
        let place = base ^ byte
        let unit = units[place]
        guard label(unit) == UInt32(byte) else { continue }
        let next = place ^ offset(unit)
        open.append(next)
        guard hasValue(unit), next < units.count else { continue }
        let start = value(units[next])
        guard start < results.count, results[start] & 0xC0 != 0x80 else {
          throw Failure(
            message: "has a trie that points at byte \(start) of \(results.count) bytes of results")
        }
      }
    }
  }

  private static func offset(_ unit: UInt32) -> Int {
    Int((unit >> 10) << ((unit & 1 << 9) >> 6))
  }
  private static func label(_ unit: UInt32) -> UInt32 { unit & (1 << 31 | 0xFF) }
  private static func hasValue(_ unit: UInt32) -> Bool { unit >> 8 & 1 == 1 }
  private static func value(_ unit: UInt32) -> Int { Int(unit & (1 << 31 - 1)) }

  /// The result of the shortest key that `text` begins with; nil if there is none.
  private static func find(
    _ text: some Sequence<UInt8>, _ units: [UInt32], _ results: [UInt8]
  ) -> [Unicode.Scalar]? {
    var place = offset(units[0])
    for byte in text {
      if byte == 0 { return nil }
      place ^= Int(byte)
      let unit = units[place]
      guard label(unit) == UInt32(byte) else { return nil }
      place ^= offset(unit)
      if hasValue(unit) {
        let result = results[value(units[place])...].prefix { $0 != 0 }
        return Array(String(decoding: result, as: UTF8.self).unicodeScalars)
      }
    }
    return nil
  }

  /// The longest key that `text` has at a place, and its result; nil if there is none.
  func longest(_ text: ArraySlice<UInt8>, from start: Int) -> (
    length: Int, result: ArraySlice<UInt8>
  )? {
    var found: (length: Int, value: Int)?
    var place = CharacterMap.offset(units[0])
    for index in start..<text.endIndex {
      let byte = text[index]
      if byte == 0 { break }
      place ^= Int(byte)
      let unit = units[place]
      guard CharacterMap.label(unit) == UInt32(byte) else { break }
      place ^= CharacterMap.offset(unit)
      if CharacterMap.hasValue(unit) {
        found = (index - start + 1, CharacterMap.value(units[place]))
      }
    }
    guard let found else { return nil }
    return (found.length, results[found.value...].prefix { $0 != 0 })
  }

  /// Rewrites `text`, a grapheme at a time as the Rust library does.
  ///
  /// A grapheme of fewer than six bytes that begins with a key is replaced whole, even by the result of
  /// a key that is shorter; else each of its scalars is looked up alone.
  func normalize(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    result.reserveCapacity(text.count)
    var start = 0
    while start < text.count {
      var end = start + 1
      while end < text.count, !(text[end - 1].isGraphemeAlone && text[end].isGraphemeAlone) {
        end += 1
      }
      appendGraphemes(of: text[start..<end], to: &result)
      start = end
    }
    return result
  }

  /// Appends what becomes of some graphemes.
  private func appendGraphemes(
    of text: ArraySlice<Unicode.Scalar>, to result: inout [Unicode.Scalar]
  ) {
    // Two scalars of three bytes are six.
    if text.count == 1 || text.allSatisfy({ $0.value >= 0x800 }) {
      for scalar in text { append(scalar, to: &result) }
      return
    }
    var string = String.UnicodeScalarView()
    string.append(contentsOf: text)
    for grapheme in String(string) {
      let scalars = grapheme.unicodeScalars
      if scalars.count > 1, grapheme.utf8.count < 6,
        let found = CharacterMap.find(grapheme.utf8, units, results)
      {
        result += found
      } else {
        for scalar in scalars { append(scalar, to: &result) }
      }
    }
  }

  private func append(_ scalar: Unicode.Scalar, to result: inout [Unicode.Scalar]) {
    let found =
      scalar.isASCII
      ? ascii[Int(scalar.value)] : CharacterMap.find(UTF8.encode(scalar) ?? .init(), units, results)
    if let found { result += found } else { result.append(scalar) }
  }
}
