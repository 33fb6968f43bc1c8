import Files
import Foundation

extension TokenizerJSON {
  // MARK: Normalisers

  func normalizer(
    _ json: JSONValue?, at place: String = "normalizer"
  ) throws(FileError) -> Normalizer {
    guard let json, !json.isNull else { return .sequence([]) }
    switch json["type"]?.string {
    case "Sequence":
      var stages: [Normalizer] = []
      for (index, stage) in (json["normalizers"]?.array ?? []).enumerated() {
        stages.append(try normalizer(stage, at: "\(place).normalizers[\(index)]"))
      }
      return .sequence(stages)
    case "BertNormalizer":
      let lowercases = json["lowercase"]?.bool ?? true
      return .bert(
        BertNormalizer(
          cleansText: json["clean_text"]?.bool ?? true,
          spacesIdeographs: json["handle_chinese_chars"]?.bool ?? true,
          stripsAccents: json["strip_accents"]?.bool ?? lowercases, lowercases: lowercases))
    case "Precompiled": return try characterMap(json, at: place)
    case "NFC": return .form(.nfc)
    case "NFD": return .form(.nfd)
    case "NFKC": return .form(.nfkc)
    case "NFKD": return .form(.nfkd)
    case "Lowercase": return .lowercase
    case "StripAccents": return .stripAccents
    case "Strip":
      return .strip(
        left: json["strip_left"]?.bool ?? true, right: json["strip_right"]?.bool ?? true)
    case "Prepend": return .prepend(Array((json["prepend"]?.string ?? "").unicodeScalars))
    case "Replace":
      let content = Array((json["content"]?.string ?? "").unicodeScalars)
      if let pattern = json["pattern"]?["String"]?.string, !pattern.isEmpty {
        return .replace(pattern: Array(pattern.unicodeScalars), content: content)
      }
      if json["pattern"]?["Regex"]?.string == " {2,}" { return .replaceBlanks(content: content) }
      if json["pattern"]?["Regex"]?.string == " $", content.isEmpty { return .dropFinalBlank }
      throw wrong(
        "\(place).pattern",
        "is not supported; use a string, the expression ‘ {2,}’, or ‘ $’ with no content")
    case let other: throw unsupported(other, at: place)
    }
  }

  private func characterMap(_ json: JSONValue, at place: String) throws(FileError) -> Normalizer {
    let field = "\(place).precompiled_charsmap"
    guard let text = json["precompiled_charsmap"]?.string, let bytes = Data(base64Encoded: text)
    else { throw wrong(field, "is not base64; save the tokenizer anew") }
    do throws(CharacterMap.Failure) {
      return .characterMap(try CharacterMap([UInt8](bytes)))
    } catch {
      throw wrong(field, "\(error.message); save the tokenizer anew")
    }
  }

  // MARK: Pre-tokenisers

  func wordSplitter(
    _ json: JSONValue?, at place: String = "pre_tokenizer"
  ) throws(FileError) -> WordSplitter {
    guard let json, !json.isNull else { return .sequence([]) }
    switch json["type"]?.string {
    case "Sequence":
      var stages: [WordSplitter] = []
      for (index, json) in (json["pretokenizers"]?.array ?? []).enumerated() {
        let stage = try wordSplitter(json, at: "\(place).pretokenizers[\(index)]")
        if index > 0, stage.marksFirst {
          throw wrong(
            "\(place).pretokenizers[\(index)].prepend_scheme",
            "first is not supported after another stage; use always or never")
        }
        stages.append(stage)
      }
      return .sequence(stages)
    case "BertPreTokenizer": return .bert
    case "WhitespaceSplit": return .whiteSpace
    case "Metaspace":
      let mark = Array((json["replacement"]?.string ?? "▁").unicodeScalars)
      guard mark.count == 1 else { throw wrong("\(place).replacement", "is not one character") }
      // Files of before 2024 say only whether a mark is put first.
      let usual = json["add_prefix_space"]?.bool == false ? "never" : "always"
      let scheme = json["prepend_scheme"]?.string ?? usual
      guard let prepending = Metaspace.Prepending(rawValue: scheme) else {
        throw wrong("\(place).prepend_scheme", "is not always, first or never")
      }
      return .metaspace(
        Metaspace(mark: mark[0], prepending: prepending, splits: json["split"]?.bool ?? true))
    case let other: throw unsupported(other, at: place)
    }
  }

  private func unsupported(_ kind: String?, at place: String) -> FileError {
    wrong(
      "\(place).type",
      "\((kind ?? "none").debugDescription) is not supported; save the tokenizer as BERT or XLM-R have it"
    )
  }
}
