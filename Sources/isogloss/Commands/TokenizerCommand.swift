import Configuration
import Corpus
import Foundation
import Training

/// `isogloss tokenizer encode`: ids of lines of text.
enum TokenizerCommand {
  static let command = Command(
    "tokenizer encode",
    "Prints the ids of each line of standard input, special tokens included, separated by blanks.",
    options: [
      Option("tokenizer", value: "DIR|FILE", "A tokenizer, or a checkpoint that holds one."),
      Option("words", "Encodes each word between blanks apart, as for tagging."),
      Option("pieces", "Prints pieces in place of ids."),
    ])

  static func run(_ arguments: ParsedArguments) throws {
    guard let path = arguments.value("tokenizer") else {
      throw UsageError("--tokenizer is missing", command: "isogloss tokenizer encode")
    }
    let tokenizer = try TokenizerLoader.load(path)
    let specials = tokenizer.specials
    var number = 0
    var lines = LineReader()
    while let bytes = lines.next() {
      number += 1
      guard let line = String(validating: bytes, as: UTF8.self) else {
        throw CorpusError(.data, "standard input", line: number, "is not UTF-8")
      }
      let inner =
        arguments.has("words")
        ? tokenizer.encode(words: line.split(separator: " ").map(String.init)).flatMap { $0 }
        : tokenizer.encode(line)
      let ids = [specials.start] + inner + [specials.end]
      print(
        arguments.has("pieces")
          ? ids.map { tokenizer.piece(of: $0) }.joined(separator: " ")
          : ids.map(String.init).joined(separator: " "))
    }
  }
}

/// Lines of standard input as bytes, without their line feed, read in pieces.
private struct LineReader {
  private var buffer: [UInt8] = []
  private var start = 0
  private var isAtEnd = false

  mutating func next() -> [UInt8]? {
    while true {
      if let end = buffer[start...].firstIndex(of: 0x0A) {
        defer { start = end + 1 }
        return Array(buffer[start..<end])
      }
      if isAtEnd {
        defer { start = buffer.count }
        return start < buffer.count ? Array(buffer[start...]) : nil
      }
      buffer.removeFirst(start)
      start = 0
      let more = FileHandle.standardInput.readData(ofLength: 1 << 16)
      isAtEnd = more.isEmpty
      buffer += more
    }
  }
}
