package import Files
import Foundation

extension SentenceReader {
  /// The sentences of a file with one JSON object a line; blank lines are left out.
  ///
  /// Words stand in `words` or `tokens`, as strings. Tags stand beside them
  /// - in `tags` or `ner_tags`, one string a word, or
  /// - in `spans` or `entities`, as `[first, end, type]` or as objects with `start`, `end` and `label`
  ///   (or `type`): indices of words from 0, `end` not included. Spans do not overlap, and become
  ///   IOB2 tags.
  ///
  /// The first of the names that is there counts, tags before spans.
  package static func jsonLines(_ file: TextFile, tagged: Bool) throws(FileError) -> [Sentence] {
    let sentences = try records(file, tagged: tagged)
    guard !sentences.isEmpty else { throw empty(file) }
    return sentences
  }

  /// The sentences of a file, or of some whole lines of one: perhaps none.
  static func records(_ file: TextFile, tagged: Bool) throws(FileError) -> [Sentence] {
    var sentences: [Sentence] = []
    var lines = file.lines
    while let line = lines.next() {
      let bytes = file.bytes[line]
      if bytes.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) { continue }
      let record = try JSONRecord(bytes, path: file.path, line: lines.number)
      let words = try record.words()
      let tags = tagged ? try record.tags(of: words) : []
      sentences.append(
        Sentence(words: words, tags: tags, path: file.path, line: lines.number, rows: .together))
    }
    return sentences
  }
}

/// One line of a file of JSON lines.
private struct JSONRecord {
  let object: [String: Any]
  let path: String
  let line: Int

  init(_ bytes: ArraySlice<UInt8>, path: String, line: Int) throws(FileError) {
    self.path = path
    self.line = line
    guard let value = try? JSONSerialization.jsonObject(with: Data(bytes)),
      let object = value as? [String: Any]
    else {
      throw FileError(
        .data, path, line: line,
        "is not a JSON object; write one object a line, as {\"words\": […], \"tags\": […]}")
    }
    self.object = object
  }

  func words() throws(FileError) -> [String] {
    guard let (key, value) = first(of: ["words", "tokens"]) else {
      throw error("has neither 'words' nor 'tokens'; add the list of words")
    }
    guard let words = value as? [String] else { throw error("'\(key)' is not a list of strings") }
    guard !words.isEmpty else { throw error("'\(key)' is empty; leave the line out") }
    for (index, word) in words.enumerated() {
      let breaks: Set<UInt8> = [0x09, 0x0A, 0x0D]
      guard !word.utf8.allSatisfy({ $0 == 0x20 }), !word.utf8.contains(where: breaks.contains)
      else {
        throw error("word \(index) of '\(key)' is blank or holds a tab or line break; mend it")
      }
    }
    return words
  }

  func tags(of words: [String]) throws(FileError) -> [String] {
    if let (key, value) = first(of: ["tags", "ner_tags"]) {
      guard let tags = value as? [String] else {
        throw error("'\(key)' is not a list of strings; write the tags by name, not by number")
      }
      guard tags.count == words.count else {
        throw error(
          "'\(key)' has \(tags.count) tags for \(words.count) words; give every word one tag")
      }
      if let index = tags.firstIndex(of: "") {
        throw error("a word without a tag: tag \(index) of '\(key)' is empty")
      }
      return tags
    }
    guard let (key, value) = first(of: ["spans", "entities"]) else {
      throw error("has no 'tags', 'ner_tags', 'spans' or 'entities'; add the tags")
    }
    guard let spans = value as? [Any] else { throw error("'\(key)' is not a list") }
    var tags = [String](repeating: "O", count: words.count)
    for (index, value) in spans.enumerated() {
      guard let (start, end, type) = span(value) else {
        throw error(
          "span \(index) of '\(key)' is neither [first, end, \"type\"] nor {\"start\", \"end\", \"label\"}"
        )
      }
      guard start >= 0, start < end, end <= words.count else {
        throw error(
          "span \(index) of '\(key)' covers words \(start)..<\(end) of \(words.count); indices count words from 0, the end is not included"
        )
      }
      guard tags[start..<end].allSatisfy({ $0 == "O" }) else {
        throw error("span \(index) of '\(key)' overlaps another; keep one of them")
      }
      for word in start..<end { tags[word] = (word == start ? "B-" : "I-") + type }
    }
    return tags
  }

  private func span(_ value: Any) -> (start: Int, end: Int, type: String)? {
    let parts: (Any?, Any?, Any?)
    if let list = value as? [Any], list.count == 3 {
      parts = (list[0], list[1], list[2])
    } else if let object = value as? [String: Any] {
      parts = (object["start"], object["end"], object["label"] ?? object["type"])
    } else {
      return nil
    }
    guard let start = parts.0 as? Int, let end = parts.1 as? Int, let type = parts.2 as? String,
      !type.isEmpty
    else { return nil }
    return (start, end, type)
  }

  /// The first of the keys that is present and not null.
  private func first(of keys: [String]) -> (String, Any)? {
    for key in keys {
      if let value = object[key], !(value is NSNull) { return (key, value) }
    }
    return nil
  }

  private func error(_ message: String) -> FileError {
    FileError(.data, path, line: line, message)
  }
}
