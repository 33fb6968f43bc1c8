import Commands
import Configuration
import Foundation
import Testing
import Training

/// A configuration that can be run, of nine lines.
let smallest = """
  init: checkpoints/mini
  languages:
    en: {train: [en.train], dev: [en.dev]}
    de: {train: [de.train], dev: [de.dev], test: [de.test]}
    zh: {train: [zh.train]}
  per_step_sentences: 32
  num_train_epochs: 3
  learning_rate: 1.0e-4
  output_dir: runs/x

  """

/// Those that the program has.
let tasks = standardTasks.map { $0.schema }

func configuration(_ text: String, _ overrides: [String] = []) throws(ConfigError)
  -> RunConfiguration
{
  try RunConfiguration(text: text, source: "c.yaml", overrides: overrides, tasks: tasks)
}

func message(_ text: String, _ overrides: [String] = []) -> String {
  do {
    _ = try configuration(text, overrides)
    return "no error"
  } catch {
    return error.description
  }
}

@Test func theSmallestFileGetsTheDefaults() throws {
  let run = try configuration(smallest)
  #expect(run.start == .checkpoint(directory: "checkpoints/mini"))
  #expect(run.outputDirectory == "runs/x")
  #expect(run.languages.map(\.code) == ["en", "de", "zh"])
  #expect(run.languages[1].test == ["de.test"])
  #expect((run.seed, run.shards, run.ddpTimeout) == (42, 8, 1800))
  #expect(run.stages.count == 1)
  #expect(run.stages[0].name == "train" && run.stages[0].start == .run)
  #expect(run.stages[0].languages == ["en", "de", "zh"])
  var expected = TrainingConfiguration()
  expected.learningRate = 1e-4
  expected.metricForBestModel = "macro_f1"
  #expect(run.stages[0].training == expected)
}

@Test func pathsAreRelativeToTheFilesFolder() throws {
  let run = try RunConfiguration(
    text: smallest, source: "a/b/c.yaml",
    overrides: ["languages.en.train=[x.conll, /y.conll]", "tokenizer=../t"], tasks: tasks)
  #expect(run.start == .checkpoint(directory: "a/b/checkpoints/mini"))
  #expect(run.languages[0].train == ["a/b/x.conll", "/y.conll"])
  #expect(run.tokenizer == "a/b/../t")
  #expect(run.outputDirectory == "a/b/runs/x")
  let out = try RunConfiguration(
    text: smallest, source: "a/c.yaml", outputDirectory: "here", tasks: tasks)
  #expect(out.outputDirectory == "here")
}

@Test func everyShippedConfigurationLoads() throws {
  let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Configs")
  let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    .filter { $0.hasSuffix(".yaml") }.sorted()
  #expect(
    names == [
      "demo.yaml", "monolingual-ner.yaml", "polyglot-ner.yaml", "polyglot-seeds.yaml",
      "pretrain-polyglot.yaml", "pretrain-xlmr-base.yaml", "pretrained-ner.yaml",
      "zero-shot.yaml",
    ])
  let stageCounts = try names.map {
    try RunConfiguration(path: folder.appending(path: $0).path, tasks: tasks).stages.count
  }
  #expect(stageCounts == [17, 1, 9, 39, 2, 2, 8, 3])
}

@Test(arguments: [
  [], ["max_steps=50", "eval_strategy=steps", "eval_steps=10", "load_best_model_at_end=true"],
  ["per_step_tokens=1024", "warmup_ratio=0.1", "freeze={layers: 2}", "metric_languages=[de]"],
  [
    "init=null", "tokenizer='a \"b\\c'", "hidden_dropout_prob=0",
    "model={family: roberta, hidden_size: 64, num_hidden_layers: 1, num_attention_heads: 4, "
      + "initializer: mimetic}",
  ],
  [
    "stages=[{name: 'a {language}', each: language}, {name: b, init: a en, reset_optimizer: false}]"
  ],
])
func theDescriptionReadsBackEqual(overrides: [String]) throws {
  let run = try configuration(smallest, overrides)
  #expect(try configuration(run.description) == run)
  #expect(try JSONSerialization.jsonObject(with: Data(run.json().utf8)) is [String: Any])
}

/// A run of masked-lm says its own keys alone, and all of them.
@Test func theDescriptionOfMaskedLMReadsBackEqual() throws {
  let text = """
    task: masked-lm
    model: {family: xlm-roberta, hidden_size: 64, num_hidden_layers: 1, num_attention_heads: 4}
    tokenizer: t
    languages:
      en: {train: [en/train], dev: [en/dev]}
    output_dir: runs/x
    per_step_tokens: 4096
    mlm_probability: 0.2
    eval_strategy: epoch
    stages: [{name: short, max_length: 64}, {name: long, init: short, whole_word_mask: true}]
    """
  let run = try configuration(text)
  #expect(run.stages.map(\.maxLength) == [64, nil])
  #expect(run.stages.map { $0.options(as: MaskedLMOptions.self).wholeWordMask } == [false, true])
  #expect(run.stages[0].training.metricForBestModel == "eval_loss")
  #expect(try configuration(run.description) == run)
  for key in ["labels:", "head:", "columns:", "label_smoothing_factor:"] {
    #expect(!run.description.contains(key))
  }
  #expect(run.description.contains("mlm_probability: 0.2"))
  let other = try configuration(smallest)
  #expect(!other.description.contains("mlm_probability"))
}

@Test func overridesReplaceAddAndRemove() throws {
  let run = try configuration(
    smallest,
    [
      "max_steps=50", "languages.zh=null", "languages.fr.train=[fr.train]", "seed=7", "seed=8",
      "freeze.layers=3", "learning_rate=1e-5",
    ])
  #expect(run.languages.map(\.code) == ["en", "de", "fr"])
  #expect(run.seed == 8)
  let training = run.stages[0].training
  #expect(training.duration == .steps(count: 50))
  #expect(training.freeze.layers == 3)
  #expect(training.learningRate == 1e-5)
}

@Test(arguments: [
  ("sed=1", "override 'sed=1':1:1: unknown key 'sed'; did you mean 'seed'?"),
  ("seed=x", "override 'seed=x':1:6: seed: expected a whole number such as 32, found 'x'"),
  ("seed=[1", "override 'seed=[1':1:8: not YAML: did not find"),
  ("seed", "override 'seed':1:1: expected key=value"),
  ("=1", "override '=1':1:1: expected key=value"),
  ("a..b=1", "override 'a..b=1':1:1: an empty name between dots"),
  ("seed=", "override 'seed=':1:6: no value behind the ="),
  ("seed.x=1", "override 'seed.x=1':1:1: seed is a value and has no 'x' below it"),
  ("max_steps.x=1", "override 'max_steps.x=1':1:1: max_steps: expected a whole number"),
  (
    "languages.en.train.1=a",
    "override 'languages.en.train.1=a':1:1: languages.en.train is a list of 1; '1' is no index"
  ),
  ("languages.xx=null", "there is no 'xx' to remove"),
  ("output_dir=\"a\nb\"\n&x", "override 'output_dir=\"a\\nb\"\\n&x':3:1: not YAML"),
])
func overrideErrorsNameTheOverride(override: String, expected: String) {
  let found = message(smallest + "seed: 3\n", [override])
  #expect(found.contains(expected), "\(found)")
  #expect(!found.contains("\n"))
}

@Test func twoOverridesThatExcludeEachOtherAreAnError() {
  #expect(
    message(smallest, ["max_steps=5", "num_train_epochs=1"])
      == "override 'max_steps=5':1:11: max_steps: num_train_epochs is given too; keep one of them")
}

@Test func stagesAreExpandedInOrderWithTheirOwnKeys() throws {
  let run = try configuration(
    smallest + """
      warmup_steps: 10
      metric_languages: [de]
      stages:
        - {name: "mono {language}", each: language, max_steps: 20}
        - {name: polyglot, per_step_tokens: 4096, eval_strategy: epoch, warmup_ratio: 0.1}
        - name: fine-tune {language}
          each: language
          languages: [de, en]
          init: polyglot
          eval_strategy: epoch
        - {name: again de, init: mono de, languages: [de], reset_optimizer: false}
        - {name: other, init: ../c/y}
      """)
  #expect(
    run.stages.map(\.name) == [
      "mono en", "mono de", "mono zh", "polyglot", "fine-tune en", "fine-tune de", "again de",
      "other",
    ])
  #expect(run.stages[0].start == .run && run.stages[0].languages == ["en"])
  #expect(run.stages[0].eachLanguage == "en" && run.stages[0].folderName == "mono-en")
  #expect(run.stages[0].training.duration == .steps(count: 20))
  #expect(run.stages[0].training.stepSize == .sentences(count: 32))
  #expect(run.stages[0].training.warmup == .steps(count: 10))
  #expect(run.stages[0].training.learningRate == 1e-4)
  #expect(run.stages[3].languages == ["en", "de", "zh"] && run.stages[3].eachLanguage == nil)
  #expect(run.stages[3].training.stepSize == .tokens(count: 4096))
  #expect(run.stages[3].training.warmup == .ratio(share: 0.1))
  #expect(run.stages[3].training.duration == .epochs(count: 3))
  #expect(run.stages[3].training.metricLanguages == ["de"])
  #expect(run.stages[4].start == .stage(name: "polyglot"))
  #expect(run.stages[4].training.metricLanguages == ["en"])
  #expect(run.stages[6].start == .stage(name: "mono de") && !run.stages[6].resetOptimizer)
  #expect(run.stages[7].start == .checkpoint(directory: "../c/y"))
}

@Test func overlapOfWindowsIsChosenOrGivenAndAlwaysFits() throws {
  let free = try configuration(smallest).stages[0].options(as: TaggingOptions.self)
  #expect([3, 6, 128, 512].map { free.overlap(windowLength: $0) } == [0, 1, 31, 64])
  let given = try configuration(smallest, ["window_stride=100"]).stages[0]
    .options(as: TaggingOptions.self)
  #expect([3, 64, 512].map { given.overlap(windowLength: $0) } == [0, 61, 100])
}

@Test func theReferenceNamesEveryKeyOnceInHundredColumns() {
  let reference = RunConfiguration.reference(of: tasks)
  #expect(reference.split(separator: "\n").allSatisfy { $0.count <= 100 })
  for (_, keys) in RunConfiguration.keys(of: tasks) {
    #expect(Set(keys.map(\.name)).count == keys.count)
    for key in keys { #expect(reference.contains("  \(key.name) "), "\(key.name)") }
  }
  #expect(reference.contains("[number; default 5e-05]"))
}
