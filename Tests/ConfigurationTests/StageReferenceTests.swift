import Configuration
import Testing

/// Files of stages that name each other, up to their last line.
private let recipe = """
  init: ./model
  languages:
    en: {train: [en.train], dev: [en.dev], test: [en.test]}
    de: {train: [de.train], dev: [de.dev]}
  per_step_sentences: 32
  output_dir: runs/x

  """

private struct Wrong: Sendable, CustomTestStringConvertible {
  var stages: String
  /// What the message begins with, behind the file's name and the line of `stages`.
  var expected: String
  var testDescription: String { expected }
}

private let wrong = [
  Wrong(
    stages: "[{name: s, init: teacher}]",
    expected:
      "26: stages.0.init: 'teacher' is no earlier stage; there is no earlier stage (a checkpoint"),
  Wrong(
    stages: "[{name: s, init: t}, {name: t}]",
    expected: "26: stages.0.init: stage 't' comes later; list it before 's'"),
  Wrong(
    stages: "[{name: a, init: c}, {name: b, init: a}, {name: c, init: b}]",
    expected: "26: stages.0.init: a circle of stages: 'a' needs 'c' needs 'b' needs 'a'"),
  Wrong(
    stages: "[{name: t}, {name: p, task: predict, init: t}, {name: s, init: p}]",
    expected: "72: stages.2.init: stage 'p' makes a corpus, and a model is needed"),
  Wrong(
    stages: "[{name: t}, {name: s, train: [stage:t]}]",
    expected: "39: stages.1.train: stage 't' makes a model, and a corpus is needed"),
  Wrong(
    stages:
      "[{name: t}, {name: p, task: predict, init: t, languages: [en]}, {name: s, train: [stage:p]}]",
    expected: "90: stages.2.train: stage 'p' makes no corpus of 'de'"),
  Wrong(
    stages: "[{name: t}, {name: s, train: [stage:q]}]",
    expected: "39: stages.1.train: 'q' is no earlier stage; known: t"),
  Wrong(
    stages: "[{name: t}, {name: s, train: [t], languages: [en]}]",
    expected: "39: stages.1.train: 't' is a stage: write stage:t, or ./t for a file"),
  Wrong(
    stages: "[{name: t, languages: [en], train: [./a, ./a]}]",
    expected: "50: stages.0.train: './a' is listed twice"),
  Wrong(
    stages: "[{name: metrics.jsonl}]",
    expected: "17: stages.0.name: 'metrics.jsonl' is the name of a file of the run"),
  Wrong(
    stages: "[{name: p, task: predict, init: ./m, max_length: 9}]",
    expected: "10: max_length: the model that labels has its own"),
  Wrong(
    stages: "[{name: s, train: [a.conll]}]",
    expected: "28: stages.0.train: files are for a stage of one language, and this one has 2"),
  Wrong(
    stages: "[{name: t}, {name: s, teachers: [t]}]",
    expected: "41: stages.1.teachers: task token-classification takes no teachers"),
  Wrong(
    stages: "[{name: a b}, {name: a-b}]",
    expected:
      "30: stages.1.name: 'a-b' is the name of an earlier stage ('a b') or of the same folder"),
  Wrong(
    stages: "[{name: a, mlm_probability: 0.2}]",
    expected: "37: stages.0.mlm_probability: is used only with task: masked-lm"),
  Wrong(
    stages: "[{name: p, task: predict, learning_rate: 1.0}]",
    expected: "50: stages.0.learning_rate: task predict trains nothing"),
  Wrong(
    stages: "[{name: p, task: predict, init: ./m, input: [a]}]",
    expected: "53: input: files are of one language, and the stage has 2"),
  Wrong(
    stages: "[{name: t, head: crf}, {name: p, task: predict, init: t, soft_labels: true}]",
    expected:
      "79: soft_labels: the model of stage 't' gives labels without probabilities"),
  Wrong(
    stages: "[{name: t, task: masked-lm}, {name: p, task: predict, init: t}]",
    expected: "38: init: the model of stage 't' gives words no labels"),
  Wrong(
    stages: "[{name: a, task: tagging}]",
    expected: "26: stages.0.task: unknown value 'tagging'; known: token-classification, masked-lm"),
  Wrong(
    stages: "[{name: 'm {language}', each: language}, {name: s, init: m}]",
    expected: "66: stages.1.init: 'm' is 2 stages ('m en', 'm de'…); name one"),
  Wrong(
    stages: "[{name: m}, {name: s, init: m@all}]",
    expected: "37: stages.1.init: begins with one stage; @all is for teachers"),
  Wrong(
    stages: "[{name: a, each: seed}]",
    expected: "26: stages.0.each: seed needs seeds, here or in the run: seeds: [1, 2, 3]"),
  Wrong(
    stages: "[{name: a, each: seed, seeds: [1, 1]}]",
    expected: "43: stages.0.seeds: 1 is listed twice"),
  Wrong(
    stages: "[{name: a, seeds: [1]}]",
    expected: "27: stages.0.seeds: is used only with each: seed"),
  Wrong(
    stages: "[{name: a, init: 'm {seed}'}]",
    expected: "26: stages.0.init: {seed} stands for nothing here; add each: seed"),
]

@Suite struct StageReferenceTests {
  @Test(arguments: wrong)
  fileprivate func aWrongReferenceIsOneLineWithItsPlace(file: Wrong) {
    let found = message(recipe + "stages: " + file.stages + "\n")
    let column = file.expected.split(separator: ":")[0]
    let rest = file.expected.dropFirst(column.count)
    #expect(found.hasPrefix("c.yaml:7:\(column)\(rest)"), "\(found)")
    #expect(!found.contains("\n"))
  }

  /// Stages that all name each other, and thousands of them, are looked through in no time.
  @Test(.timeLimit(.minutes(1))) func manyStagesAreResolvedAtOnce() throws {
    let names = (0..<40).map { "n\($0)" }
    let stages = names.map { name in
      let others = names.filter { $0 != name }.map { "\"stage:\($0)\"" }.joined(separator: ", ")
      return "  - {name: \(name), train: [\(others)]}\n"
    }
    #expect(message(recipe + "stages:\n" + stages.joined()).contains("a circle of stages"))
    let run = try configuration(
      recipe + "seeds: [\((0..<1500).map(String.init).joined(separator: ", "))]\n"
        + "stages: [{name: t}, {name: s, init: t}]\n")
    #expect(run.stages.count == 3000)
    #expect(run.stages[2999].start == .stage(name: "t seed 1499"))
  }

  @Test func aKeyOfATaskThatNoStageHasSaysWhoseItIs() {
    #expect(
      message(recipe + "lm_head_bias: zero\n")
        == "c.yaml:7:15: lm_head_bias: is used only with task: masked-lm")
    #expect(
      message(recipe + "soft_labels: true\nstages: [{name: a}]\n")
        == "c.yaml:7:14: soft_labels: is used only with task: predict")
  }

  @Test func everyStageMayHaveATaskOfItsOwn() throws {
    let run = try configuration(
      recipe + """
        head: crf
        stages:
          - {name: teacher, languages: [en]}
          - {name: labelled, task: predict, init: teacher, languages: [de], input: [de.raw]}
          - {name: student, init: teacher, train: [stage:labelled], languages: [de], head: softmax}

        """)
    #expect(run.stages.map(\.task) == ["token-classification", "predict", "token-classification"])
    #expect(run.stages[1].start == .stage(name: "teacher"))
    #expect(run.stages[2].trainStages == ["labelled"] && run.stages[2].languages == ["de"])
    #expect(run.stages[2].sources == ["teacher", "labelled"])
    #expect(run.description.contains("train: [\"stage:labelled\"]"))
    #expect(try configuration(run.description) == run)
  }

  /// Seeds make stages of every entry; a name means the stage of the same seed and language.
  @Test func seedsAndLanguagesMakeStages() throws {
    let run = try configuration(
      recipe
        + """
        seeds: [3, 1]
        stages:
          - {name: polyglot}
          - {name: "fine {language}", each: language, init: polyglot}
          - {name: "again {language} {seed}", each: [language, seed], init: "fine {language}"}
          - {name: labelled, task: predict, init: fine, languages: [en]}

        """.replacing("init: fine,", with: "init: fine en,"))
    #expect(
      run.stages.map(\.name) == [
        "polyglot seed 3", "polyglot seed 1", "fine en seed 3", "fine de seed 3", "fine en seed 1",
        "fine de seed 1", "again en 3", "again de 3", "again en 1", "again de 1",
        "labelled seed 3", "labelled seed 1",
      ])
    #expect(run.stages.map(\.seed) == [3, 1, 3, 3, 1, 1, 3, 3, 1, 1, 3, 1])
    #expect(run.stages[5].start == .stage(name: "polyglot seed 1"))
    #expect(run.stages[9].start == .stage(name: "fine de seed 1"))
    #expect(run.stages[11].start == .stage(name: "fine en seed 1"))
    // Random numbers are those of the template and the language, whatever the seeds.
    #expect(run.stages.map(\.randomKey) == [0, 0, 1, 2, 1, 2, 3, 4, 3, 4, 5, 5])
    #expect(run.stages[4].group == "fine seed 1")
    #expect(try configuration(run.description) == run)
    #expect(
      try configuration(run.description).stages.map(\.randomKey) == run.stages.map(\.randomKey))
    // One seed of several has the numbers that it has alone, with and without the new key.
    let plain = try configuration(
      recipe + "stages: [{name: polyglot}, {name: 'fine {language}', each: language}]\n")
    #expect(plain.stages.map(\.randomKey) == [0, 1, 2])
  }

  @Test func allStagesOfANameAreTeachers() throws {
    // No task of the program takes teachers yet: the reference is resolved before that is refused.
    let found = message(
      recipe + "stages: [{name: 'm {language}', each: language}, {name: s, teachers: [m@all]}]\n")
    #expect(found.contains("task token-classification takes no teachers"))
  }
}
