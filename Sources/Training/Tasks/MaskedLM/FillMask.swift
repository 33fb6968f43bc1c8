import Configuration
import Corpus
import Files
import Foundation
import Tensors

/// `isogloss fill-mask`: what a masked language model guesses behind the masks of lines of text.
enum FillMask {
  static let command = TaskCommand(
    "fill-mask",
    "Prints the likeliest tokens for each mask in the lines of standard input, as transformers' fill-mask.",
    positionals: [Positional("CHECKPOINT", "A directory with a masked language model.")],
    options: [
      Option("top", value: "N", default: "5", "Tokens for each mask."),
      Option("json", "Prints one JSON object a guess."),
    ],
    notes: ["Masks are written as the tokenizer spells them: <mask> or [MASK]."], run: run)

  private struct Line: Encodable {
    var line: Int
    var mask: Int
    var score: Double
    var token: Int32
    var tokenStr: String

    private enum CodingKeys: String, CodingKey {
      case line, mask, score, token
      case tokenStr = "token_str"
    }
  }

  private static func run(_ call: TaskCommand.Call) throws {
    let arguments = call.arguments
    let count = try arguments.integer("top", in: 1...10_000) ?? 5
    let filler = try MaskFiller(directory: arguments.positional("CHECKPOINT"))
    var number = 0
    while let bytes = call.nextLine() {
      number += 1
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw FileError(.data, "standard input", line: number, "is not UTF-8")
      }
      let found: [[MaskFiller.Guess]]
      do {
        found = try filler.guesses(text, count: count, in: call.workspace)
      } catch {
        throw FileError(.data, "standard input", line: number, error.message)
      }
      if found.isEmpty {
        throw FileError(
          .data, "standard input", line: number, "has no \(filler.mask); write one where to guess")
      }
      for (mask, guesses) in found.enumerated() {
        if !arguments.has("json") { print("line \(number), mask \(mask + 1): \(text)") }
        for guess in guesses {
          if arguments.has("json") {
            try call.printJSON(
              Line(
                line: number, mask: mask + 1, score: guess.score, token: guess.id,
                tokenStr: guess.piece))
          } else {
            print("  \(String(format: "%.4f", guess.score))  \(guess.piece)")
          }
        }
      }
    }
    try filler.confirmUnwritten()
  }
}
