public import Corpus

/// The errors on entities that share their type and a part of their surface with an entity of another language's training
/// data (Mueller, Andrews and Dredze, ACL 2020, figure 2).
///
/// A part is a run of 4 to 8 Unicode scalars, words joined by spaces, or the whole surface. For each kind of part, entities
/// that have none are left aside.
public struct SharedEntities: Sendable {
  /// The errors for one kind of part.
  public struct Errors: Sendable, Equatable {
    /// The scalars of a part; nil for the whole surface.
    public var length: Int?
    /// Gold entities that share a part, and those of them that are not predicted as they are.
    public var gold = 0
    public var missed = 0
    /// Predicted entities that share a part, and those of them that are none.
    public var predicted = 0
    public var wrong = 0

    /// Missed ones among gold ones, from 0 to 1; 0 of none.
    public var recallErrorRate: Double { gold == 0 ? 0 : Double(missed) / Double(gold) }
    /// Wrong ones among predicted ones.
    public var precisionErrorRate: Double {
      predicted == 0 ? 0 : Double(wrong) / Double(predicted)
    }
    /// The harmonic mean of both.
    public var rate: Double {
      let sum = recallErrorRate + precisionErrorRate
      return sum == 0 ? 0 : 2 * recallErrorRate * precisionErrorRate / sum
    }
  }

  /// The lengths of parts; nil for the whole surface.
  public static let lengths: [Int?] = [4, 5, 6, 7, 8, nil]

  /// By kind of part, the parts of entities in training data, each behind its type.
  private let parts: [Set<Part>]

  /// - Parameter sentences: What the other languages are trained on, with tags.
  public init(_ sentences: [Sentence]) {
    var parts = [Set<Part>](repeating: [], count: Self.lengths.count)
    for sentence in sentences {
      for entity in sentence.entities {
        for (place, length) in Self.lengths.enumerated() {
          parts[place].formUnion(Part.all(of: sentence.words[entity.words], entity.type, length))
        }
      }
    }
    self.parts = parts
  }

  /// The errors of predictions by kind of part, in the order of ``lengths``.
  ///
  /// - Parameter path: A CoNLL file whose last two columns are the gold and the predicted tag.
  public func errors(inPredictions path: String) throws -> [Errors] {
    let sentences = try TaggedPrediction.read(path)
    return Self.lengths.indices.map { place in
      var errors = Errors(length: Self.lengths[place])
      for sentence in sentences {
        for span in sentence.spans where isShared(span, of: sentence, place) {
          let isCorrect = sentence.spans.contains {
            $0.isGold != span.isGold && $0.words == span.words && $0.type == span.type
          }
          if span.isGold {
            errors.gold += 1
            errors.missed += isCorrect ? 0 : 1
          } else {
            errors.predicted += 1
            errors.wrong += isCorrect ? 0 : 1
          }
        }
      }
      return errors
    }
  }

  /// The mean of the rates over the kinds of parts that some entity has; nil if none has.
  public static func mean(_ errors: [Errors]) -> Double? {
    let rates = errors.filter { $0.gold + $0.predicted > 0 }.map(\.rate)
    return rates.isEmpty ? nil : rates.reduce(0, +) / Double(rates.count)
  }

  private func isShared(
    _ span: TaggedPrediction.Span, of sentence: TaggedPrediction, _ place: Int
  ) -> Bool {
    Part.all(of: sentence.words[span.words], span.type, Self.lengths[place])
      .contains(where: parts[place].contains)
  }

  private struct Part: Hashable {
    var type: String
    var scalars: [UInt32]

    /// The parts of an entity of one length; the whole surface where it is nil.
    static func all(of words: ArraySlice<String>, _ type: String, _ length: Int?) -> [Part] {
      let scalars = words.joined(separator: " ").unicodeScalars.map(\.value)
      guard let length else { return [Part(type: type, scalars: scalars)] }
      guard scalars.count >= length else { return [] }
      return (0...scalars.count - length).map {
        Part(type: type, scalars: Array(scalars[$0..<$0 + length]))
      }
    }
  }
}
