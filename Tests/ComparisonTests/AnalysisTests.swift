import Comparison
import Corpus
import Foundation
import Testing

/// Errors by class, and on entities that training data of other languages have.
@Suite struct AnalysisTests {
  private static let predictions = """
    Anna B-PER B-PER
    Berlin B-LOC O

    in O B-LOC
    New B-LOC B-ORG
    Yorker I-LOC I-ORG
    Zug O O

    Annabel B-PER B-PER
    Oslo B-LOC B-LOC
    x O I-LOC


    """

  private func file(_ text: String) throws -> String {
    let path = NSTemporaryDirectory() + "isogloss-analysis-\(UUID().uuidString).dev.conll"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  private typealias Row = ErrorClasses.Row

  @Test func errorsOfClassesAreThoseOfEntities() throws {
    let path = try file(Self.predictions)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let counts = try ComparedSystem.read(path, part: "dev")[0].runs.map(\.counts)
    let classes = ErrorClasses(counts)
    // "Berlin" is missed, "in" invented, "New Yorker" of another type, and "Oslo" too long.
    let wanted = [
      Row(name: "O", recall: 1, precision: 1), Row(name: "LOC", recall: 3, precision: 2),
      Row(name: "ORG", recall: 0, precision: 1), Row(name: "PER", recall: 0, precision: 0),
    ]
    #expect(classes.rows == wanted)
    #expect(ErrorClasses(counts + counts) == classes)
    #expect((classes - classes).rows.allSatisfy { $0.recall == 0 && $0.precision == 0 })
    #expect(ErrorClasses.sum([classes, classes]).rows[1].recall == 6)
  }

  @Test func sharedEntitiesAreThoseOfTypeAndSurface() throws {
    let path = try file(Self.predictions)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let train = [
      Sentence(words: ["Annabella", "Oslo"], tags: ["B-PER", "B-LOC"]),
      Sentence(words: ["New", "Yorker"], tags: ["B-LOC", "I-LOC"]),
      Sentence(words: ["Berlin"], tags: ["B-ORG"]),
    ]
    let errors = try SharedEntities(train).errors(inPredictions: path)
    #expect(errors.map(\.length) == [4, 5, 6, 7, 8, nil])
    let numbers = errors.map { [$0.gold, $0.missed, $0.predicted, $0.wrong] }
    // Four scalars: Anna, Annabel, New Yorker and Oslo of the gold ones; Anna, Annabel and "Oslo x" of the predicted ones.
    #expect(numbers[0] == [4, 2, 3, 1])
    #expect(abs(errors[0].rate - 0.4) < 1e-12)
    // Seven: Annabel and New Yorker; none of the predicted ones is wrong.
    #expect(numbers[3] == [2, 1, 1, 0] && errors[3].rate == 0)
    // Whole surfaces: New Yorker and Oslo; of the predicted ones none.
    #expect(numbers[5] == [2, 2, 0, 0])
    #expect(SharedEntities.mean(try SharedEntities([]).errors(inPredictions: path)) == nil)
  }
}
