extension Unicode.Scalar {
  /// Whether it is white space, which has been the same since Unicode 6.3.
  package var isWhiteSpace: Bool {
    switch value {
    case 0x09...0x0D, 0x20: true
    case 0..<0x80: false
    case 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
    default: false
    }
  }

  /// Whether it is a grapheme of its own beside any other scalar of which this is said; said of most
  /// letters, digits and punctuation without a look at Unicode's tables.
  package var isGraphemeAlone: Bool {
    switch value {
    case 0x20...0x7E: true
    case 0xA1...0xA8, 0xAA...0xAC, 0xAF...0x2FF: true
    // Greek, Cyrillic but for its marks, Armenian, Hebrew letters, Arabic letters and digits.
    case 0x370...0x482, 0x48A...0x58F, 0x5D0...0x5EA, 0x620...0x64A, 0x660...0x66F, 0x671...0x6D5:
      true
    case 0x1E00...0x1FFF, 0x2010...0x2027: true
    // Kana, ideographs, Hangul syllables.
    case 0x3041...0x3096, 0x30A1...0x30FA, 0x4E00...0x9FFF, 0xAC00...0xD7A3: true
    default: false
    }
  }
}
