/// How a predicted span differs from gold, as MUC tells it apart.
package enum SpanError: Sendable {
  /// A gold span that no predicted one is paired with.
  case missed
  /// A predicted span that no gold one is paired with.
  case spurious
  /// A pair of the same tokens and other types.
  case wrongType
  /// A pair of one type that overlaps.
  case wrongBoundary
  /// A pair of other types that overlaps.
  case wrongBoth

  /// For people.
  package var words: String {
    switch self {
    case .missed: "missed"
    case .spurious: "spurious"
    case .wrongType: "wrong type"
    case .wrongBoundary: "wrong boundary"
    case .wrongBoth: "wrong type and boundary"
    }
  }
}

/// The spans of two taggings of a sentence, paired one to one as `nervaluate` 1.2 pairs them in its strategies strict,
/// exact and partial.
///
/// Each predicted span, in order, takes the gold span of its own tokens, else the first gold span that it overlaps and that no
/// earlier one took. So where one span overlaps two, the order decides, and no count of such a sentence is more right than
/// another.
///
/// - Complexity: O(gold · predicted).
struct SpanPairs {
  /// Indices of gold and predicted spans, in the order of the predicted ones.
  private(set) var pairs: [(gold: Int, predicted: Int)] = []
  private(set) var missed: [Int] = []
  private(set) var spurious: [Int] = []

  init(gold: [TagSpan], predicted: [TagSpan]) {
    var isTaken = [Bool](repeating: false, count: gold.count)
    for (index, span) in predicted.enumerated() {
      let free = gold.indices.filter { !isTaken[$0] && gold[$0].tokens.overlaps(span.tokens) }
      if let match = free.first(where: { gold[$0].tokens == span.tokens }) ?? free.first {
        isTaken[match] = true
        pairs.append((match, index))
      } else {
        spurious.append(index)
      }
    }
    missed = gold.indices.filter { !isTaken[$0] }
  }

  /// The error of a pair; nil if it is none.
  static func error(gold: TagSpan, predicted: TagSpan) -> SpanError? {
    switch (gold.tokens == predicted.tokens, gold.type == predicted.type) {
    case (true, true): nil
    case (true, false): .wrongType
    case (false, true): .wrongBoundary
    case (false, false): .wrongBoth
    }
  }

  /// How many predicted spans overlap a gold span of their type, each gold span taken once: `nervaluate`'s strategy
  /// `ent_type`. Of several the one with the nearest boundaries is taken, and one of another type where there is none, so
  /// that the pairs may be others than ``pairs``.
  static func correctTypes(gold: [TagSpan], predicted: [TagSpan]) -> Int {
    var isTaken = [Bool](repeating: false, count: gold.count)
    var correct = 0
    for span in predicted {
      let free = gold.indices.filter { !isTaken[$0] && gold[$0].tokens.overlaps(span.tokens) }
      let same = free.filter { gold[$0].type == span.type }
      let nearest = same.min { left, right in
        distance(gold[left].tokens, span.tokens) < distance(gold[right].tokens, span.tokens)
      }
      if nearest != nil { correct += 1 }
      if let match = nearest ?? free.first { isTaken[match] = true }
    }
    return correct
  }

  private static func distance(_ left: ClosedRange<Int>, _ right: ClosedRange<Int>) -> Int {
    abs(left.lowerBound - right.lowerBound) + abs(left.upperBound - right.upperBound)
  }
}
