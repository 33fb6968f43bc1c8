import Checkpoints
import Collectives
import Commands
import Configuration
import Corpus
import Files
import Foundation
import Testing
import Training

/// Stages that label files for later ones.
@Suite struct PredictStageTests {
  private static let teacher = "{name: teacher, languages: [en], max_steps: 4}"
  private static let student =
    "{name: student, init: teacher, train: ['stage:labelled'], languages: [ru], max_steps: 3}"

  /// A teacher, a corpus that it labels, and a student of both.
  private func recipe(_ small: SmallRun, _ name: String, soft: Bool = true) throws
    -> RunConfiguration
  {
    let labelled =
      "{name: labelled, task: predict, init: teacher, languages: [ru], soft_labels: \(soft)}"
    return try small.configuration(
      name,
      ["full_determinism=true", "stages=[\(Self.teacher), \(labelled), \(Self.student)]"])
  }

  private func bytes(_ path: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: path))
  }

  /// More sentences than are labelled together, so that several ranks have work.
  @Test func ranksMakeEqualCorpora() throws {
    let small = try SmallRun(sentences: 800)
    defer { small.remove() }
    var first: (hash: String?, files: [Data])?
    for ranks in [1, 3] {
      let configuration = try recipe(small, "ranks\(ranks)")
      let results = try ThreadGroup.run(ranks: ranks) { communicator in
        try SmallRun.execute(configuration, over: communicator)
      }
      #expect(results[0]?.map(\.stage) == ["teacher", "student"])
      let corpus = small.folder + "/ranks\(ranks)/labelled/corpus"
      let found = (
        hash: results[0]?.last?.weightHash,
        files: try ["ru.conll", "ru.safetensors"].map { try bytes(corpus + "/" + $0) }
      )
      if let first {
        #expect(found.hash == first.hash && found.files == first.files)
      }
      first = found
    }
    // Words and their order are those of the input.
    let input = try SentenceReader.read(small.folder + "/sample/ru.train.conll")
    let made = try SentenceReader.read(small.folder + "/ranks1/labelled/corpus/ru.conll")
    #expect(input.count > 256 && made.map(\.words) == input.map(\.words))
    let lineage = try CheckpointManifest(directory: small.folder + "/ranks1/student/model").lineage
    #expect(lineage.ancestors.map(\.name) == ["teacher/model", "labelled/corpus"])
  }

  /// Stopped before, in and after each stage.
  @Test func aStoppedRecipeGoesOn() throws {
    let small = try SmallRun(sentences: 800)
    defer { small.remove() }
    let unbroken = try #require(try SmallRun.execute(try recipe(small, "unbroken")))
    let corpus = try bytes(small.folder + "/unbroken/labelled/corpus/ru.safetensors")
    for polls in [2, 4, 5, 6, 8] {
      let configuration = try recipe(small, "broken\(polls)")
      #expect(try SmallRun.execute(configuration, stopAfter: polls) == nil)
      let resumed = try #require(try SmallRun.execute(configuration, resume: .auto))
      #expect(resumed.last?.weightHash == unbroken.last?.weightHash, "stopped after \(polls)")
      let stage = small.folder + "/broken\(polls)/labelled"
      #expect(try bytes(stage + "/corpus/ru.safetensors") == corpus)
      #expect(try FileManager.default.contentsOfDirectory(atPath: stage) == ["corpus"])
    }
  }

  /// The probabilities are read where they fit the sentences, and nowhere else.
  @Test func softLabelsFitTheirSentences() throws {
    let small = try SmallRun()
    defer { small.remove() }
    _ = try SmallRun.execute(try recipe(small, "soft"))
    let artifact = CorpusArtifact(
      directory: small.folder + "/soft/labelled/corpus", language: "ru")
    let sentences = try SentenceReader.read(artifact.tagged)
    let counts = sentences.map(\.words.count)
    let soft = try SoftLabels(artifact, sentences: counts)
    for (index, sentence) in sentences.enumerated() {
      let rows = Array(soft.probabilities(ofSentence: index))
      #expect(rows.count == sentence.words.count * soft.labels.count)
      for word in sentence.words.indices {
        let row = rows[word * soft.labels.count..<(word + 1) * soft.labels.count]
        #expect(abs(row.reduce(0, +) - 1) < 1e-4)
        // The tag is the label of the greatest one.
        let best = try #require(row.indices.max { row[$0] < row[$1] }) - row.startIndex
        #expect(soft.labels[best] == sentence.tags[word])
      }
    }
    #expect { try SoftLabels(artifact, sentences: Array(counts.dropLast())) } throws: {
      "\($0)".contains("is of \(counts.count) sentences")
    }
    var other = counts
    other[3] += 1
    #expect { try SoftLabels(artifact, sentences: other) } throws: {
      "\($0)".contains("sentence 4 has \(counts[3]) words")
    }
    _ = try SmallRun.execute(try recipe(small, "hard", soft: false))
    let hard = CorpusArtifact(directory: small.folder + "/hard/labelled/corpus", language: "ru")
    #expect { try SoftLabels(hard, sentences: counts) } throws: {
      "\($0)".contains("set soft_labels: true in the stage that makes it")
    }
  }

  /// A teacher that somebody wrote to since it was trained labels nothing.
  @Test func aChangedTeacherIsRefused() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try recipe(small, "run")
    #expect(try SmallRun.execute(configuration, stopAfter: 4) == nil)
    let path = small.folder + "/run/teacher/model/model.safetensors"
    var weights = try bytes(path)
    weights[weights.count - 1] ^= 1
    try weights.write(to: URL(fileURLWithPath: path))
    #expect { try SmallRun.execute(configuration, resume: .auto) } throws: {
      "\($0)".contains("model.safetensors: differs from what was saved")
    }
  }

  /// Files of later stages are looked for before the first one trains.
  @Test func aMissingFileOfALaterStageEndsTheRunAtOnce() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let student = Self.student.replacing("'stage:labelled'", with: "'stage:labelled', ./none.conll")
    let configuration = try small.configuration(
      "run",
      [
        "stages=[\(Self.teacher), {name: labelled, task: predict, init: teacher, languages: [ru]}, \(student)]"
      ])
    #expect { try SmallRun.execute(configuration) } throws: {
      "\($0)".contains("none.conll") && ($0 as? FileError)?.code == .missing
    }
    #expect(!FileManager.default.fileExists(atPath: small.folder + "/run"))
  }

  /// Labels of a model from elsewhere that would break the rows of a corpus are errors.
  @Test(arguments: ["B-A\\r", "B-A\\nB", "B-A\\tB", "B A"])
  func aLabelThatIsNoFieldIsRefused(label: String) throws {
    let small = try SmallRun()
    defer { small.remove() }
    _ = try SmallRun.execute(try small.configuration("run", ["max_steps=2"]))
    let model = small.folder + "/run/train/model"
    try FileManager.default.removeItem(atPath: model + "/isogloss.json")
    let path = model + "/config.json"
    let config = try String(contentsOfFile: path, encoding: .utf8)
    #expect(config.contains("\"B-LOC\""))
    try config.replacing("\"B-LOC\"", with: "\"\(label)\"")
      .write(toFile: path, atomically: true, encoding: .utf8)
    let configuration = try small.configuration(
      "next",
      [
        "model=null", "tokenizer=null",
        "stages=[{name: l, task: predict, init: \(model), languages: [en]}]",
      ])
    #expect { try SmallRun.execute(configuration) } throws: { error in
      let text = "\(error)"
      return text.contains("cannot stand in a CoNLL file") && !text.contains("\n")
    }
  }

  /// A corpus that somebody wrote to since it was made is no data.
  @Test func aChangedCorpusIsRefused() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try recipe(small, "run")
    _ = try SmallRun.execute(configuration)
    try FileManager.default.removeItem(atPath: small.folder + "/run/student/model")
    let path = small.folder + "/run/labelled/corpus/ru.conll"
    var text = try bytes(path)
    text[0] ^= 1
    try text.write(to: URL(fileURLWithPath: path))
    #expect { try SmallRun.execute(configuration, resume: .auto) } throws: {
      "\($0)".contains("ru.conll: differs") && "\($0)".contains("to run stage 'labelled' again")
    }
  }
}
