import Foundation

/// The files of a trained SentencePiece model, its pieces numbered as XLM-R numbers them.
///
/// `tokenizer.json` names the stages that make of a text what the model file makes of it: the model's own rules of
/// normalisation, no blanks at the ends nor two together, a mark before each word. XLM-R's own stages cut words at
/// white space that the rules leave too, which SentencePiece does not.
struct TrainedTokenizer {
  private static let mark = "▁"
  /// Ahead of the model's pieces, whose first three they replace.
  private static let opening = ["<s>", "<pad>", "</s>", "<unk>"]
  private static let mask = "<mask>"

  private let model: [UInt8]
  private let file: SentencePieceFile
  /// The pieces by id.
  private let pieces: [(text: String, score: Float)]

  /// Takes the bytes of a model file; nil if one is spelt as a special token, or is not valid.
  init?(_ model: [UInt8]) {
    guard let file = try? SentencePieceFile(model), file.pieces.count > 3 else { return nil }
    var pieces = TrainedTokenizer.opening.map { ($0, Float(0)) }
    for piece in file.pieces.dropFirst(3) {
      guard piece.kind == .normal, let text = String(validating: piece.text, as: UTF8.self) else {
        return nil
      }
      // Rules of normalisation can spell one from other characters.
      if text == TrainedTokenizer.mask || TrainedTokenizer.opening.contains(text) { return nil }
      pieces.append((text, piece.score))
    }
    pieces.append((TrainedTokenizer.mask, 0))
    self.model = model
    self.file = file
    self.pieces = pieces
  }

  /// Each file's name and bytes.
  func files() -> [(name: String, bytes: [UInt8])] {
    [
      (SentencePieceTokenizer.fileName, model),
      ("tokenizer.json", bytes(tokenizer)),
      ("tokenizer_config.json", bytes(settings)),
      ("special_tokens_map.json", bytes(.object(specials))),
    ]
  }

  private func bytes(_ json: JSONText) -> [UInt8] { Array(json.text.utf8) + [0x0A] }

  // MARK: tokenizer.json

  private var tokenizer: JSONText {
    .object([
      ("version", .string("1.0")), ("truncation", .null), ("padding", .null),
      ("added_tokens", .array(addedTokens)), ("normalizer", normalizer),
      ("pre_tokenizer", metaspace), ("post_processor", template), ("decoder", decoder),
      ("model", file.isUnigram ? unigram : bytePairs),
    ])
  }

  private var addedTokens: [JSONText] {
    let last = pieces.count - 1
    return zip(Array(0..<4) + [last], TrainedTokenizer.opening + [TrainedTokenizer.mask]).map {
      .object([
        ("id", .number("\($0)")), ("content", .string($1)), ("single_word", .bool(false)),
        // The blank before a mask belongs to what it hides.
        ("lstrip", .bool($0 == last)), ("rstrip", .bool(false)), ("normalized", .bool(false)),
        ("special", .bool(true)),
      ])
    }
  }

  private var normalizer: JSONText {
    func replace(_ kind: String, _ pattern: String, _ content: String) -> JSONText {
      .object([
        ("type", .string("Replace")), ("pattern", .object([(kind, .string(pattern))])),
        ("content", .string(content)),
      ])
    }
    var stages: [JSONText] = []
    if !file.characterMap.isEmpty {
      stages.append(
        .object([
          ("type", .string("Precompiled")),
          ("precompiled_charsmap", .string(Data(file.characterMap).base64EncodedString())),
        ]))
    }
    stages += [
      .object([("type", .string("Prepend")), ("prepend", .string(" "))]),
      replace("Regex", " {2,}", " "), replace("Regex", " $", ""),
      replace("String", " ", TrainedTokenizer.mark),
    ]
    return .object([("type", .string("Sequence")), ("normalizers", .array(stages))])
  }

  /// Cuts before each mark.
  private var metaspace: JSONText {
    .object([
      ("type", .string("Metaspace")), ("replacement", .string(TrainedTokenizer.mark)),
      ("prepend_scheme", .string("never")), ("split", .bool(true)),
    ])
  }

  private var decoder: JSONText {
    .object([
      ("type", .string("Metaspace")), ("replacement", .string(TrainedTokenizer.mark)),
      ("prepend_scheme", .string("always")), ("split", .bool(true)),
    ])
  }

  /// `<s> $A </s>`, and of pairs `<s> $A </s></s> $B </s>`.
  private var template: JSONText {
    func token(_ name: String) -> JSONText {
      .object([("SpecialToken", .object([("id", .string(name)), ("type_id", .number("0"))]))])
    }
    func text(_ name: String) -> JSONText {
      .object([("Sequence", .object([("id", .string(name)), ("type_id", .number("0"))]))])
    }
    func special(_ id: Int) -> (String, JSONText) {
      let name = pieces[id].text
      return (
        name,
        .object([
          ("id", .string(name)), ("ids", .array([.number("\(id)")])),
          ("tokens", .array([.string(name)])),
        ])
      )
    }
    let single = [token("<s>"), text("A"), token("</s>")]
    return .object([
      ("type", .string("TemplateProcessing")), ("single", .array(single)),
      ("pair", .array(single + [token("</s>"), text("B"), token("</s>")])),
      ("special_tokens", .object([special(0), special(2)])),
    ])
  }

  private var unigram: JSONText {
    .object([
      ("type", .string("Unigram")), ("unk_id", .number("3")),
      (
        "vocab",
        // The shortest digits that a double is read back from, so the float's own value.
        .array(pieces.map { .array([.string($0.text), .number("\(Double($0.score))")]) })
      ),
      ("byte_fallback", .bool(false)),
    ])
  }

  private var bytePairs: JSONText {
    .object([
      ("type", .string("BPE")), ("dropout", .null), ("unk_token", .string("<unk>")),
      ("continuing_subword_prefix", .null), ("end_of_word_suffix", .null),
      ("fuse_unk", .bool(true)), ("byte_fallback", .bool(false)), ("ignore_merges", .bool(false)),
      (
        "vocab",
        .object(pieces.enumerated().map { (name: $1.text, value: .number("\($0)")) })
      ),
      ("merges", .array(merges.map { .array([.string($0.left), .string($0.right)]) })),
    ])
  }

  /// Each way to cut a piece into two pieces, by the score of the piece, the longer left part first.
  private var merges: [(left: String, right: String)] {
    let normal = pieces[TrainedTokenizer.opening.count..<pieces.count - 1]
    // By scalars, since equal strings may be different pieces.
    let known = Set(normal.map { Array($0.text.unicodeScalars) })
    let order = normal.indices.sorted {
      pieces[$0].score != pieces[$1].score ? pieces[$0].score > pieces[$1].score : $0 < $1
    }
    return order.flatMap { id -> [(left: String, right: String)] in
      let scalars = Array(pieces[id].text.unicodeScalars)
      return (1..<max(scalars.count, 1)).reversed().compactMap { count in
        let (left, right) = (Array(scalars[..<count]), Array(scalars[count...]))
        guard known.contains(left), known.contains(right) else { return nil }
        return (TrainedTokenizer.string(left), TrainedTokenizer.string(right))
      }
    }
  }

  private static func string(_ scalars: [Unicode.Scalar]) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }

  // MARK: Settings

  /// A class of transformers that takes the stages of `tokenizer.json` as they are.
  private var settings: JSONText {
    .object(
      [("tokenizer_class", .string("PreTrainedTokenizerFast"))] + specials + [
        (
          "model_input_names",
          .array([.string("input_ids"), .string("attention_mask")])
        ),
        ("clean_up_tokenization_spaces", .bool(false)),
      ])
  }

  private var specials: [(name: String, value: JSONText)] {
    [
      ("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>"), ("sep_token", "</s>"),
      ("pad_token", "<pad>"), ("cls_token", "<s>"), ("mask_token", TrainedTokenizer.mask),
    ].map { (name: $0, value: .string($1)) }
  }
}
