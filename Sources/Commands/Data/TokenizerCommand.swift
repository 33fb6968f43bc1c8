import Configuration
import Corpus
import Files
import Foundation
import Tokenizers
import Training

/// `isogloss tokenizer …`: ids of lines of text, and lines on which two tokenizers differ.
enum TokenizerCommand {
  static let encode = Command(
    "tokenizer encode",
    "Prints the ids of each line of standard input, special tokens included, separated by blanks.",
    options: [
      Option("tokenizer", value: "DIR|FILE", "A tokenizer, or a checkpoint that holds one."),
      Option("words", "Encodes each word between blanks apart, as for tagging."),
      Option("pieces", "Prints pieces in place of ids."),
    ], run: runEncode)

  static let compare = Command(
    "tokenizer compare",
    "Lists the lines of standard input that two tokenizers encode differently, such as a .model and the "
      + "tokenizer.json made of it.",
    positionals: [
      Positional("FIRST", "A tokenizer: a file, or a directory that holds one."),
      Positional("SECOND", "Another one."),
    ],
    options: [
      Option("words", "Encodes each word between blanks apart, as for tagging."),
      Option("json", "Prints one JSON object a line that differs."),
    ],
    notes: ["The exit code is 0 if no line differs and 1 if one does, as that of cmp."],
    run: runCompare)

  static func runEncode(_ arguments: ParsedArguments) throws {
    guard let path = arguments.value("tokenizer") else {
      throw UsageError("--tokenizer is missing", command: "isogloss tokenizer encode")
    }
    let tokenizer = try TokenizerLoader.load(path)
    try forEachLine { _, line in
      let ids = ids(of: line, tokenizer, byWord: arguments.has("words"))
      print(
        arguments.has("pieces")
          ? pieces(ids, tokenizer) : ids.map(String.init).joined(separator: " "))
    }
  }

  static func runCompare(_ arguments: ParsedArguments) throws {
    let paths = (arguments.positional("FIRST"), arguments.positional("SECOND"))
    let (first, second) = (try TokenizerLoader.load(paths.0), try TokenizerLoader.load(paths.1))
    var (count, differing) = (0, 0)
    try forEachLine { number, line in
      count = number
      let found = ids(of: line, first, byWord: arguments.has("words"))
      let other = ids(of: line, second, byWord: arguments.has("words"))
      if found == other { return }
      differing += 1
      if arguments.has("json") {
        let difference = Difference(line: number, text: line, first: found, second: other)
        try JSONLine.print(difference)
      } else {
        print("line \(number): \(line)")
        print("  first   \(pieces(found, first))")
        print("  second  \(pieces(other, second))")
      }
    }
    Terminal.write("\(differing) of \(count) lines differ\n")
    if differing > 0 { exit(1) }
  }

  /// A line on which two tokenizers differ, as `--json` prints it.
  private struct Difference: Encodable {
    var line: Int
    var text: String
    var first: [Int32]
    var second: [Int32]
  }

  private static func ids(
    of line: String, _ tokenizer: any Tokenizer, byWord: Bool
  ) -> [Int32] {
    let words = byWord ? line.split(separator: " ").map(String.init) : []
    let inner = byWord ? tokenizer.encode(words: words).flatMap { $0 } : tokenizer.encode(line)
    return [tokenizer.specials.start] + inner + [tokenizer.specials.end]
  }

  private static func pieces(_ ids: [Int32], _ tokenizer: any Tokenizer) -> String {
    ids.map { tokenizer.piece(of: $0) }.joined(separator: " ")
  }

  private static func forEachLine(_ body: (_ number: Int, _ line: String) throws -> Void) throws {
    var number = 0
    var lines = LineReader()
    while let bytes = lines.next() {
      number += 1
      guard let line = String(validating: bytes, as: UTF8.self) else {
        throw FileError(.data, "standard input", line: number, "is not UTF-8")
      }
      try body(number, line)
    }
  }
}
