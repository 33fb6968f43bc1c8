import Configuration
import Files
import Foundation
import Training

/// `isogloss analyze overlap`: the important weights that languages share.
enum OverlapCommand {
  static let command = Command(
    "analyze overlap",
    "Compares Fisher diagonals layer by layer: how many of the most important weights of one language are important for others.",
    positionals: [
      Positional(
        "FILE", count: .atLeastOne,
        "What analyze fisher wrote of one model, a file for each language.")
    ],
    options: [
      Option(
        "after", value: "FILE", takesMany: true,
        "The same of models that were trained on from it, matched by language."),
      Option(
        "top", value: "P,P,…", default: "5,25,50",
        "How many per cent of the weights of a layer count as important."),
      .tableForm,
      Option("json", "Prints one JSON object on standard output."),
    ],
    notes: [
      "An overlap is the share of the important weights of one diagonal that are important in the other, in per cent in tables for people. Chance gives the size itself.",
      "vs others: the mean over pairs of languages; vs rest: the other languages' diagonals as one, their mean; after: before and after training went on.",
    ]
  ) { arguments in
    let percents = try percents(arguments)
    let form = try arguments.tableForm()
    let files = try arguments.positionals("FILE").map { try FisherFile($0) }
    let later = try arguments.values("after").map { try FisherFile($0) }
    let overlap = try FisherOverlap(files, after: later, percents: percents)
    print(
      arguments.has("json") ? json(overlap).compactText + "\n" : table(overlap).text(as: form),
      terminator: "")
  }

  private static func percents(_ arguments: ParsedArguments) throws(UsageError) -> [Int] {
    let text = arguments.value("top") ?? "5,25,50"
    let percents = text.split(separator: ",").map { Int($0) ?? 0 }
    guard !percents.isEmpty, percents.allSatisfy({ (1...100).contains($0) }) else {
      throw UsageError(
        "--top must be whole numbers from 1 to 100 with commas between them, found \(text)",
        command: "isogloss analyze overlap")
    }
    return percents
  }

  private static func json(_ overlap: FisherOverlap) -> JSONValue {
    func numbers(_ values: [Double]) -> JSONValue { .array(values.map { .init($0) }) }
    return [
      "analysis": "overlap", "languages": .array(overlap.languages.map { .init($0) }),
      "cells": .array(
        overlap.cells.map { cell in
          [
            "layer": .init(cell.layer), "weights": .init(cell.weights),
            "percent": .init(cell.percent), "chance": .init(Double(cell.percent) / 100),
            "pairs": .array(cell.pairs.map(numbers)), "mean_of_pairs": numbers(cell.meanOfPairs),
            "pooled_rest": numbers(cell.pooled),
            "after": .array(cell.after.map { $0.map { .init($0) } ?? .null }),
          ]
        }),
    ]
  }

  /// Means over languages, a row for each layer and size.
  private static func table(_ overlap: FisherOverlap) -> TextTable {
    func mean(_ values: [Double]) -> String {
      values.isEmpty
        ? "" : String(format: "%.1f", 100 * values.reduce(0, +) / Double(values.count))
    }
    let heading = ["layer", "weights", "top % = chance", "vs others", "vs rest", "after"]
    return TextTable(
      [heading]
        + overlap.cells.map { cell in
          [
            cell.layer, "\(cell.weights)", "\(cell.percent)", mean(cell.meanOfPairs),
            mean(cell.pooled), mean(cell.after.compactMap(\.self)),
          ]
        })
  }
}
