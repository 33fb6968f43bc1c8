import Files
import Foundation

/// The rules of the conlleval script, version of 26 January 2004.
///
/// All sentences are one stream with an outside tag between them. A chunk is correct if both sides start
/// one of the same type together, no side ends or changes type without the other, and both end together.
extension SpanCounts {
  mutating func countAsConlleval(gold: [[String]], predicted: [[String]]) {
    var chunks = ChunkReader()
    for (sentence, (left, right)) in zip(gold, predicted).enumerated() {
      if sentence > 0 { chunks.step(to: .outside, .outside, counts: &self) }
      for (goldText, predictedText) in zip(left, right) {
        let goldTag = ChunkTag(goldText)
        let predictedTag = ChunkTag(predictedText)
        chunks.step(to: goldTag, predictedTag, counts: &self)
        tokens += 1
        if goldTag == predictedTag { correctTokens += 1 }
      }
    }
    chunks.finish(counts: &self)
  }

  /// The text that the conlleval script prints for these counts: the same letters.
  ///
  /// Tags without a type make a line without a name, and make it twice if both sides have such chunks.
  public var conllevalText: String {
    let all = overall
    var text =
      "processed \(tokens) tokens with \(all.gold) phrases; "
      + "found: \(all.predicted) phrases; correct: \(all.correct).\n"
    if tokens > 0 {
      text += "accuracy: \(percent(100 * Double(correctTokens) / Double(tokens))); "
      text += ratesText(all) + "\n"
    }
    for row in types {
      let type = printable(row.type, limit: .max)
      let name = String(repeating: " ", count: max(0, 17 - type.utf8.count)) + type
      let line = "\(name): \(ratesText(row))  \(row.predicted)\n"
      text += line
      if row.type.isEmpty && row.gold > 0 && row.predicted > 0 { text += line }
    }
    return text
  }

  private func ratesText(_ row: OfType) -> String {
    let precision = row.predicted == 0 ? 0 : 100 * Double(row.correct) / Double(row.predicted)
    let recall = row.gold == 0 ? 0 : 100 * Double(row.correct) / Double(row.gold)
    let sum = precision + recall
    let f1 = sum == 0 ? 0 : 2 * precision * recall / sum
    return "precision: \(percent(precision)); recall: \(percent(recall)); "
      + "FB1: \(String(format: "%6.2f", f1))"
  }

  private func percent(_ value: Double) -> String { String(format: "%6.2f%%", value) }
}

/// A tag cut at its first hyphen. Without a hyphen the type is empty, and so it is when it is `0`,
/// which the script's language holds to be false.
private struct ChunkTag: Equatable {
  var prefix: [UInt8]
  var type: [UInt8]

  static let outside = ChunkTag("O")

  init(_ text: String) {
    let bytes = Array(text.utf8)
    let hyphen = bytes.firstIndex(of: UInt8(ascii: "-")) ?? bytes.endIndex
    prefix = Array(bytes[..<hyphen])
    type = Array(bytes[hyphen...].dropFirst())
    if type == [UInt8(ascii: "0")] { type = [] }
  }

  /// The prefix if it is one ASCII letter; a space, which no rule names, if it is anything else.
  var letter: Character {
    prefix.count == 1 && prefix[0] < 0x80 ? Character(.init(prefix[0])) : " "
  }

  /// Whether a chunk ends between `self` and the tag after it.
  func ends(before next: ChunkTag) -> Bool {
    switch (letter, next.letter) {
    case ("B", "B"), ("B", "O"), ("I", "B"), ("I", "O"), ("E", "E"), ("E", "I"), ("E", "O"): true
    case ("[", _), ("]", _): true
    case ("O", _), (".", _): false
    default: type != next.type
    }
  }

  /// Whether a chunk starts at `self`, after the tag `previous`.
  func starts(after previous: ChunkTag) -> Bool {
    switch (previous.letter, letter) {
    case ("B", "B"), ("I", "B"), ("O", "B"), ("O", "I"), ("E", "E"), ("E", "I"), ("O", "E"): true
    case (_, "["), (_, "]"): true
    case (_, "O"), (_, "."): false
    default: type != previous.type
    }
  }
}

/// Reads two streams of tags and counts their chunks.
private struct ChunkReader {
  private var gold = ChunkTag.outside
  private var predicted = ChunkTag.outside
  /// Whether both sides are in a chunk that has been the same from its start.
  private var isCommon = false

  mutating func step(
    to nextGold: ChunkTag, _ nextPredicted: ChunkTag, counts: inout SpanCounts
  ) {
    if isCommon {
      let goldEnds = gold.ends(before: nextGold)
      let predictedEnds = predicted.ends(before: nextPredicted)
      if goldEnds && predictedEnds && gold.type == predicted.type {
        isCommon = false
        counts[name(gold)].correct += 1
      } else if goldEnds != predictedEnds || nextGold.type != nextPredicted.type {
        isCommon = false
      }
    }
    let goldStarts = nextGold.starts(after: gold)
    let predictedStarts = nextPredicted.starts(after: predicted)
    if goldStarts && predictedStarts && nextGold.type == nextPredicted.type { isCommon = true }
    if goldStarts { counts[name(nextGold)].gold += 1 }
    if predictedStarts { counts[name(nextPredicted)].predicted += 1 }
    gold = nextGold
    predicted = nextPredicted
  }

  mutating func finish(counts: inout SpanCounts) {
    if isCommon { counts[name(gold)].correct += 1 }
    isCommon = false
  }

  private func name(_ tag: ChunkTag) -> String { String(decoding: tag.type, as: UTF8.self) }
}
