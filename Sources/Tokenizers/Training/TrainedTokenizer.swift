import Files
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
      ("special_tokens_map.json", bytes(.object(JSONObject(specials)))),
    ]
  }

  private func bytes(_ json: JSONValue) -> [UInt8] { Array(json.text(.groups).utf8) + [0x0A] }

  // MARK: tokenizer.json

  private var tokenizer: JSONValue {
    [
      "version": "1.0", "truncation": .null, "padding": .null,
      "added_tokens": .array(addedTokens), "normalizer": normalizer,
      "pre_tokenizer": metaspace("never"), "post_processor": template,
      "decoder": metaspace("always"), "model": file.isUnigram ? unigram : bytePairs,
    ]
  }

  private var addedTokens: [JSONValue] {
    let last = pieces.count - 1
    return zip(Array(0..<4) + [last], TrainedTokenizer.opening + [TrainedTokenizer.mask]).map {
      [
        "id": .init($0), "content": .init($1), "single_word": false,
        // The blank before a mask belongs to what it hides.
        "lstrip": .init($0 == last), "rstrip": false, "normalized": false, "special": true,
      ]
    }
  }

  private var normalizer: JSONValue {
    func replace(_ kind: String, _ pattern: String, _ content: String) -> JSONValue {
      ["type": "Replace", "pattern": [kind: .init(pattern)], "content": .init(content)]
    }
    var stages: [JSONValue] = []
    if !file.characterMap.isEmpty {
      let map = Data(file.characterMap).base64EncodedString()
      stages.append(["type": "Precompiled", "precompiled_charsmap": .init(map)])
    }
    stages += [
      ["type": "Prepend", "prepend": " "],
      replace("Regex", " {2,}", " "), replace("Regex", " $", ""),
      replace("String", " ", TrainedTokenizer.mark),
    ]
    return ["type": "Sequence", "normalizers": .array(stages)]
  }

  /// As a stage that cuts, before each mark; as a decoder, the marks as blanks.
  private func metaspace(_ prependScheme: String) -> JSONValue {
    [
      "type": "Metaspace", "replacement": .init(TrainedTokenizer.mark),
      "prepend_scheme": .init(prependScheme), "split": true,
    ]
  }

  /// `<s> $A </s>`, and of pairs `<s> $A </s></s> $B </s>`.
  private var template: JSONValue {
    func token(_ name: String) -> JSONValue {
      ["SpecialToken": ["id": .init(name), "type_id": 0]]
    }
    func text(_ name: String) -> JSONValue { ["Sequence": ["id": .init(name), "type_id": 0]] }
    func special(_ id: Int) -> JSONValue {
      let name = JSONValue(pieces[id].text)
      return ["id": name, "ids": [.init(id)], "tokens": [name]]
    }
    let single = [token("<s>"), text("A"), token("</s>")]
    return [
      "type": "TemplateProcessing", "single": .array(single),
      "pair": .array(single + [token("</s>"), text("B"), token("</s>")]),
      "special_tokens": [pieces[0].text: special(0), pieces[2].text: special(2)],
    ]
  }

  private var unigram: JSONValue {
    [
      "type": "Unigram", "unk_id": 3,
      // The shortest digits that a double is read back from, so the float's own value.
      "vocab": .array(pieces.map { [.init($0.text), .number("\(Double($0.score))")] }),
      "byte_fallback": false,
    ]
  }

  private var bytePairs: JSONValue {
    let vocabulary = pieces.enumerated().map { (name: $1.text, value: JSONValue($0)) }
    return [
      "type": "BPE", "dropout": .null, "unk_token": "<unk>",
      "continuing_subword_prefix": .null, "end_of_word_suffix": .null,
      "fuse_unk": true, "byte_fallback": false, "ignore_merges": false,
      "vocab": .object(JSONObject(vocabulary)),
      "merges": .array(merges.map { [.init($0.left), .init($0.right)] }),
    ]
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
  private var settings: JSONValue {
    .object(
      JSONObject(
        [("tokenizer_class", "PreTrainedTokenizerFast")] + specials + [
          ("model_input_names", ["input_ids", "attention_mask"]),
          ("clean_up_tokenization_spaces", false),
        ]))
  }

  private var specials: [(name: String, value: JSONValue)] {
    [
      ("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>"), ("sep_token", "</s>"),
      ("pad_token", "<pad>"), ("cls_token", "<s>"), ("mask_token", .init(TrainedTokenizer.mask)),
    ]
  }
}
