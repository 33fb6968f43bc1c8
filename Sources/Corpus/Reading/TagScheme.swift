/// A way of writing entities as one tag a word.
public enum TagScheme: String, Sendable, Codable, CaseIterable {
  /// `I-` inside; `B-` only for an entity right after another of the same type.
  case iob1 = "IOB1"
  /// `B-` opens every entity, `I-` continues it.
  case iob2 = "IOB2"
  /// As IOB2, with `E-` for the last word and `S-` for an entity of one word.
  case iobes = "IOBES"
  /// As IOBES, with `L-` and `U-` for its `E-` and `S-`.
  case bilou = "BILOU"
  /// `I-` for every word of an entity; neighbours of one type cannot be told apart.
  case io = "IO"
}

/// A tag taken apart: `O`, or a prefix and a type.
struct TagSpelling {
  /// One of the letters O, B, I, E, S, L, U.
  var prefix: UInt8
  /// Where the type begins in the tag's bytes.
  static let typeOffset = 2

  /// Nil unless the bytes are `O`, or one of `B- I- E- S- L- U-` and a type without control characters.
  init?(_ bytes: some Collection<UInt8>) {
    guard let first = bytes.first else { return nil }
    let rest = bytes.dropFirst()
    if first == UInt8(ascii: "O"), rest.isEmpty {
      prefix = first
    } else if "BIESLU".utf8.contains(first), rest.first == UInt8(ascii: "-"), rest.count > 1,
      rest.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    {
      prefix = first
    } else {
      return nil
    }
  }
}

/// What was found in the tags of one file, and what was done to bring them to IOB2.
public struct TagReport: Sendable, Equatable, Codable, CustomStringConvertible {
  public var path: String
  public var scheme: TagScheme
  public var sentences: Int
  public var words: Int
  /// The number of tags of each prefix as the file has them, in the order O B I E S L U; prefixes that
  /// do not occur are left out.
  public var prefixes: [Count]
  /// Entities opened by `I-` (or `E-`, `L-`): after `O`, another type or a closed entity.
  public var openedInside: Int
  /// Entities opened by `B-` right after a word of the same type: all a file in IOB1 has.
  public var openedAdjacent: Int
  /// Entities opened by `B-` elsewhere.
  public var openedApart: Int
  /// The number of entities of each type after conversion, by type in code point order.
  public var entities: [Count]
  /// Tags that IOB2 spells otherwise than the file did.
  public var converted: Int
  /// Tags that break the scheme found: in IOB2 an `I-` that opens, in IOB1 a `B-` that need not be
  /// one, in IOBES and BILOU also an entity that is not closed.
  public var repaired: Int
  /// The line of the first of these, or nil if there are none.
  public var firstRepairedLine: Int?

  /// How often a name occurs.
  public struct Count: Sendable, Equatable, Codable {
    public var name: String
    public var count: Int

    public init(name: String, count: Int) {
      self.name = name
      self.count = count
    }
  }

  /// One line for people, as `a.conll: 12 sentences, 80 words; IOB1 (O 60, I 18, B 2), 17 tags
  /// converted to IOB2, 0 repaired; entities LOC 4, PER 9`.
  public var description: String {
    func list(_ counts: [Count]) -> String {
      counts.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
    }
    let place = firstRepairedLine.map { " (first at line \($0))" } ?? ""
    return
      "\(path): \(sentences) sentences, \(words) words; \(scheme.rawValue) (\(list(prefixes))), "
      + "\(converted) tags converted to IOB2, \(repaired) repaired\(place); "
      + (entities.isEmpty ? "no entities" : "entities \(list(entities))")
  }
}
