import Configuration
import Foundation
import Testing

/// A configuration that is wrong somewhere, and how its one line of error begins.
struct WrongFile: CustomTestStringConvertible {
  var text: String
  var expected: String

  init(_ text: String, _ expected: String) {
    self.text = text
    self.expected = expected
  }

  var testDescription: String { expected }
}

/// Lines behind those of the smallest configuration: the first is line 10.
private func after(_ text: String, _ expected: String) -> WrongFile {
  WrongFile(smallest + text, expected)
}

/// The smallest configuration with its line `number`, from 1, replaced.
private func line(_ number: Int, _ text: String, _ expected: String) -> WrongFile {
  var lines = smallest.split(separator: "\n").map(String.init)
  lines[number - 1] = text
  return WrongFile(lines.joined(separator: "\n") + "\n", expected)
}

private let wrongYAML: [WrongFile] = [
  WrongFile("", "c.yaml:1:1: the configuration is empty"),
  WrongFile("# nothing\n", "c.yaml:2:1: the configuration is empty"),
  WrongFile("a: 1\n---\nb: 2\n", "c.yaml:2:1: a second document begins here"),
  WrongFile("a: &x 1\n", "c.yaml:1:4: anchors"),
  WrongFile("a: 1\nb: *x\n", "c.yaml:2:4: anchors"),
  WrongFile("a: !!int 1\n", "c.yaml:1:4: tags"),
  WrongFile("a: !mine [1]\n", "c.yaml:1:4: tags"),
  WrongFile("%YAML 1.1\n---\na: 1\n", "c.yaml:1:1: YAML directives"),
  WrongFile("seed: 1\nseed: 2\n", "c.yaml:2:1: the key 'seed' is given twice (first at line 1)"),
  WrongFile("[a]: 1\n", "c.yaml:1:1: a key must be a name, not a list"),
  WrongFile("a: [1, 2\nb: 3\n", "c.yaml:2:"),
  WrongFile("a:\n\t- 1\n", "c.yaml:2:1: not YAML: found character that cannot start any token"),
  WrongFile("ä: \"é\u{7}\"\n", "c.yaml:1:6: not UTF-8 text: control characters"),
  WrongFile("a: {b: \"x\"y}\n", "c.yaml:1:11: not YAML"),
  WrongFile(String(repeating: "[", count: 40), "c.yaml:1:33: nested more than 32 levels deep"),
  WrongFile("- 1\n", "c.yaml:1:1: the configuration: expected a mapping of keys, found a list"),
]

private let wrongTypes: [WrongFile] = [
  after("sed: 1\n", "c.yaml:10:1: unknown key 'sed'; did you mean 'seed'?"),
  after("Learning-Rate: 1\n", "c.yaml:10:1: unknown key 'Learning-Rate'; did you mean 'learning_r"),
  after("wamrup_steps: 1\n", "c.yaml:10:1: unknown key 'wamrup_steps'; did you mean 'warmup_step"),
  after("bananas: 1\n", "c.yaml:10:1: unknown key 'bananas'; known: task, init, model, tokenizer"),
  after(
    "per_device_train_batch_size: 8\n",
    "c.yaml:10:1: unknown key 'per_device_train_batch_size'; here it is 'per_step_sentences'"),
  after(
    "freeze: {layer: 1}\n", "c.yaml:10:10: unknown key 'layer' in freeze; did you mean 'layers'"),
  after(
    "seed: 1.5\n", "c.yaml:10:7: seed: expected a whole number such as 32, found the number 1.5"),
  after("seed: '1'\n", "c.yaml:10:7: seed: expected a whole number such as 32, found the quoted t"),
  after("seed:\n", "c.yaml:10:1: seed: has no value; remove the key for its default"),
  after("seed: 99999999999999999999\n", "c.yaml:10:7: seed: '99999999999999999999' does not fit"),
  after("seed: -1\n", "c.yaml:10:7: seed: must be at least 0, found the number -1"),
  after("seed: 0x10\n", "c.yaml:10:7: seed: expected a whole number such as 32, found '0x10'"),
  after("full_determinism: yes\n", "c.yaml:10:19: full_determinism: expected true or false, found"),
  after(
    "full_determinism: True\n", "c.yaml:10:19: full_determinism: expected true or false, found"),
  after("weight_decay: nan\n", "c.yaml:10:15: weight_decay: expected a number such as 0.1 or 1e-4"),
  after("weight_decay: 1e999\n", "c.yaml:10:15: weight_decay: '1e999' is too large"),
  after("weight_decay: [1]\n", "c.yaml:10:15: weight_decay: expected a number such as 0.1 or 1e-4"),
  after("tokenizer: 5\n", "c.yaml:10:12: tokenizer: expected text (in quotes if it is meant as te"),
  after("tokenizer: ''\n", "c.yaml:10:12: tokenizer: must be some text"),
  after("tokenizer: \"a\\0b\"\n", "c.yaml:10:12: tokenizer: text with a zero character"),
  after("head: cfr\n", "c.yaml:10:7: head: unknown value 'cfr'; did you mean 'crf'?"),
  after("head: linear\n", "c.yaml:10:7: head: unknown value 'linear'; known: softmax, crf"),
  after("stages: {name: a}\n", "c.yaml:10:9: stages: expected a list such as [a, b], found a mapp"),
  after("stages: [a]\n", "c.yaml:10:10: stages.0: expected a mapping of keys, found 'a'"),
  line(2, "languages: [en]", "c.yaml:3:3: not YAML"),
  line(3, "  en: {train: en.train}", "c.yaml:3:15: languages.en.train: expected a list such as [a"),
  line(3, "  en: {train: [1]}", "c.yaml:3:16: languages.en.train.0: expected text"),
  line(3, "  en: {trian: [a]}", "c.yaml:3:8: unknown key 'trian' in languages.en; did you mean 't"),
]

private let wrongSums: [WrongFile] = [
  line(1, "seed: 1", "c.yaml:1:1: init or model is missing"),
  line(6, "seed: 1", "c.yaml:1:1: per_step_sentences or per_step_tokens is missing"),
  line(9, "seed: 1", "c.yaml:1:1: output_dir is missing"),
  line(3, "  en: {train: []}", "c.yaml:3:15: languages.en: has no files; give train, dev or test"),
  after(
    "stages: [{name: a, languages: [fr]}]\nlanguages.x: 1\n",
    "c.yaml:11:1: unknown key 'languages.x'"),
  WrongFile(
    """
    init: a
    languages: {en: {train: [a], dev: [b]}, de: {dev: [c]}}
    output_dir: d
    per_step_sentences: 3
    stages: [{name: a, languages: [de]}]
    """,
    "c.yaml:2:41: languages.de.train is missing: at least one file, since stage 'a' trains on it"),
  line(3, "  e/n: {train: [a]}", "c.yaml:3:3: 'e/n' is no language code"),
  line(
    3, "  en: {train: [a], dev: [./a]}",
    "c.yaml:3:26: languages.en.dev: './a' is already listed in languages.en.train"),
  line(
    4, "  de: {train: [en.train]}",
    "c.yaml:4:16: languages.de.train: 'en.train' is already listed in languages.en.train"),
  WrongFile("init: a\nlanguages: {}\noutput_dir: b\n", "c.yaml:2:12: languages: at least one is"),
  WrongFile("init: a\noutput_dir: b\n", "c.yaml:1:1: languages is missing"),
  after("model: {}\n", "c.yaml:10:8: model: init is given too; keep one of them"),
  line(1, "model: {}", "c.yaml:1:8: tokenizer is missing"),
  line(1, "{model: {}, tokenizer: t, x: 1}", "c.yaml:2:1: not YAML"),
  after("per_step_tokens: 9\n", "c.yaml:10:18: per_step_tokens: per_step_sentences is given too"),
  after("max_steps: 9\n", "c.yaml:10:12: max_steps: num_train_epochs is given too; keep one"),
  after(
    "warmup_steps: 9\nwarmup_ratio: 0.1\n", "c.yaml:11:15: warmup_ratio: warmup_steps is given too"),
  line(
    7, "max_steps: 9\nwarmup_steps: 10", "c.yaml:8:15: warmup_steps: 10 is more than max_steps 9"),
  after(
    "lr_scheduler_type: constant\nwarmup_ratio: 0.1\n",
    "c.yaml:10:20: lr_scheduler_type: constant has no warm-up; use constant_with_warmup"),
  after(
    "warmup_ratio: 1.5\n", "c.yaml:10:15: warmup_ratio: must be from 0.0 to 1.0, found the num"),
  after("adam_beta1: 1\n", "c.yaml:10:13: adam_beta1: must be at least 0.0 and below 1.0, found"),
  after("adam_beta2: -0.1\n", "c.yaml:10:13: adam_beta2: must be at least 0.0 and below 1.0"),
  after("sampling_alpha: -1\n", "c.yaml:10:17: sampling_alpha: must be at least 0.0"),
  after("shards: 0\n", "c.yaml:10:9: shards: must be from 1 to 65536, found the number 0"),
  after("columns: {tag: 0}\n", "c.yaml:10:10: columns: token and tag are both column 0"),
  after(
    "bf16: true\nprecision: fp32\n",
    "c.yaml:10:7: bf16: true and precision: fp32 exclude each other; give one"),
  after(
    "full_determinism: true\ngradient_dtype: bf16\n",
    "c.yaml:11:17: gradient_dtype: bf16 rounds what each rank sends"),
  after("precision: fp16\n", "c.yaml:10:12: precision: unknown value 'fp16'; known: fp32, bf16"),
  after("max_length: 2\n", "c.yaml:10:13: max_length: must be from 3 to"),
  after(
    "max_length: 64\nwindow_stride: 62\n",
    "c.yaml:11:16: window_stride: 62 leaves no room in windows of 64 tokens, 2 of them special; use 61"
  ),
  after("eval_strategy: steps\n", "c.yaml:10:16: eval_strategy: steps needs eval_steps"),
  after("eval_steps: 5\n", "c.yaml:10:13: eval_steps: is used only with eval_strategy: steps"),
  after("save_strategy: steps\n", "c.yaml:10:16: save_strategy: steps needs save_steps"),
  after("save_steps: 5\n", "c.yaml:10:13: save_steps: is used only with save_strategy: steps"),
  after("load_best_model_at_end: true\n", "c.yaml:10:25: load_best_model_at_end: needs eval_strat"),
  after("early_stopping_patience: 2\n", "c.yaml:10:26: early_stopping_patience: needs eval_strate"),
  after("metric_languages: [en, zh]\n", "c.yaml:10:24: metric_languages: 'zh' has no dev files"),
  after("metric_languages: [xx]\n", "c.yaml:10:20: metric_languages: unknown language 'xx'; known"),
  after("metric_languages: [en, en]\n", "c.yaml:10:24: metric_languages: 'en' is listed twice"),
]

private let wrongStages: [WrongFile] = [
  after("stages: []\n", "c.yaml:10:9: stages: at least one is needed"),
  after("stages: [{}]\n", "c.yaml:10:10: stages.0.name is missing"),
  after("stages: [{name: a/b}]\n", "c.yaml:10:17: stages.0.name: 'a/b' cannot be a folder's name"),
  after("stages: [{name: .a}]\n", "c.yaml:10:17: stages.0.name: '.a' cannot be a folder's name"),
  after(
    "stages: [{name: a}, {name: a}]\n",
    "c.yaml:10:28: stages.1.name: 'a' is the name of an earlier stage"),
  after(
    "stages: [{name: a b}, {name: a-b}]\n",
    "c.yaml:10:30: stages.1.name: 'a-b' is the name of an earlier stage ('a b') or of the same"),
  after(
    "stages: [{name: a, each: language}]\n",
    "c.yaml:10:17: stages.0.name: must contain {language}"),
  after(
    "stages: [{name: 'a {language}'}]\n",
    "c.yaml:10:17: stages.0.name: {language} stands for nothing here; add each: language"),
  after(
    "stages: [{name: 'a {lang}'}]\n",
    "c.yaml:10:17: stages.0.name: braces are for {language} and {seed} alone"
  ),
  after(
    "stages: [{name: a, init: b}, {name: b}]\n",
    "c.yaml:10:26: stages.0.init: stage 'b' comes later; list it before 'a'"),
  after(
    "stages: [{name: polyglot}, {name: b, init: poliglot}]\n",
    "c.yaml:10:44: stages.1.init: 'poliglot' is no earlier stage; did you mean 'polyglot'?"),
  after(
    "stages: [{name: x}, {name: b, init: b}]\n",
    "c.yaml:10:37: stages.1.init: 'b' is no earlier stage; a stage cannot start from itself"),
  after(
    "stages: [{name: x, save_strategy: no}, {name: b, init: x}]\n",
    "c.yaml:10:56: stages.1.init: stage 'x' has save_strategy: no and leaves no weights"),
  after(
    "stages: [{name: x, languages: [ne]}]\n",
    "c.yaml:10:32: stages.0.languages: unknown language 'ne'; did you mean 'en'?"),
  after(
    "stages: [{name: x, reset_optimizer: false}]\n",
    "c.yaml:10:37: stages.0.reset_optimizer: false needs an init that names an earlier stage"),
  after(
    "stages: [{name: x, per_step_tokens: 1, per_step_sentences: 1}]\n",
    "c.yaml:10:37: stages.0.per_step_tokens: per_step_sentences is given too"),
  after(
    "stages: [{name: x, languages: [zh], eval_strategy: epoch}]\n",
    "c.yaml:10:52: eval_strategy: none of the languages zh has dev files (in stage 'x')"),
  after(
    "stages: [{name: x, eval_steps: 3}]\n",
    "c.yaml:10:32: eval_steps: is used only with eval_strategy: steps (in stage 'x')"),
  after(
    "stages: [{name: x, seed: 3}]\n",
    "c.yaml:10:20: unknown key 'seed' in stages.0; did you mean 'seeds'?"),
]

/// A configuration from a shape; the shape is line 2.
private func shape(_ members: String, _ expected: String) -> WrongFile {
  WrongFile(
    """
    tokenizer: t
    model: {\(members)}
    languages: {en: {train: [a]}}
    per_step_sentences: 1
    output_dir: o
    freeze: {layers: 3}
    max_length: 600
    """, expected)
}

private let wrongShapes: [WrongFile] = [
  shape("hidden_size: 8", "c.yaml:2:8: model.family is missing"),
  shape("family: brt", "c.yaml:2:17: model.family: unknown value 'brt'; did you mean 'bert'?"),
  shape("family: bert, hidden_size: 8", "c.yaml:2:8: model.num_hidden_layers is missing"),
  shape(
    "family: bert, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 3",
    "c.yaml:2:82: model.num_attention_heads: 3 does not divide hidden_size 8"),
  shape(
    "family: roberta, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2",
    "c.yaml:7:13: max_length: 600 is more than the model's 512 tokens (max_position_embeddings 514)"
  ),
  shape(
    "family: roberta, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, "
      + "max_position_embeddings: 4",
    "c.yaml:2:113: model.max_position_embeddings: 4 leaves no room"),
  shape(
    "family: bert, hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, "
      + "max_position_embeddings: 999", "c.yaml:6:18: freeze.layers: 3 is more than the model's 2"),
]

@Test(arguments: wrongYAML + wrongTypes + wrongSums + wrongStages + wrongShapes)
func aWrongFileIsOneLineWithItsPlace(file: WrongFile) {
  let found = message(file.text)
  #expect(found.hasPrefix(file.expected), "\(found)")
  #expect(!found.contains("\n"))
}

@Test func aMissingAFolderAndATooLargeFileAreNamed() throws {
  func code(_ path: String) -> ConfigError.Code? {
    do {
      _ = try RunConfiguration(path: path, tasks: tasks)
      return nil
    } catch {
      #expect(error.path == path && error.line == nil)
      return error.code
    }
  }
  let folder = FileManager.default.temporaryDirectory.appending(path: "config-\(UUID())")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  let large = folder.appending(path: "large.yaml")
  try Data(repeating: UInt8(ascii: "#"), count: 10_000_001).write(to: large)
  #expect(code(folder.appending(path: "none.yaml").path) == .missing)
  #expect(code(large.path) == .content)
  #expect(code(folder.path) == .io)
}

@Test func bytesThatAreNotTextHaveTheirPlace() {
  let bytes = Array("a: 1\nb: é".utf8) + [0xFF, 0x0A]
  let error = #expect(throws: ConfigError.self) { try YAMLNode.parse(bytes, source: "c.yaml") }
  #expect(
    error?.description.hasPrefix("c.yaml:2:5: not UTF-8 text") == true,
    "\(String(describing: error))")
}

@Test func aByteOrderMarkAndCarriageReturnsAreFine() throws {
  let text = "\u{FEFF}" + smallest.split(separator: "\n").joined(separator: "\r\n")
  #expect(try configuration(text) == configuration(smallest))
}

/// Minimal standard generator: enough to pick bytes, and the same everywhere.
private struct ByteStream {
  var state: UInt64

  mutating func next(below bound: Int) -> Int {
    state = state * 48271 % 2_147_483_647
    return Int(state) % bound
  }
}

@Test func damagedFilesEndInARunOrInOneLine() {
  let special = Array("{}[]:,-&*!|>'\"%@`#?\n \t0.ae~\u{FF}".utf8)
  for seed in 1...3000 {
    var random = ByteStream(state: UInt64(seed))
    var bytes = Array((smallest + "stages: [{name: 'a {language}', each: language}]\n").utf8)
    for _ in 0...random.next(below: 4) {
      let place = random.next(below: bytes.count)
      switch random.next(below: 3) {
      case 0: bytes.remove(at: place)
      case 1: bytes[place] = special[random.next(below: special.count)]
      default: bytes.insert(special[random.next(below: special.count)], at: place)
      }
    }
    do {
      let node = try YAMLNode.parse(bytes, source: "c.yaml")
      let run = try configuration(String(decoding: bytes, as: UTF8.self))
      #expect(try configuration(run.description) == run, "seed \(seed): \(node)")
    } catch {
      let line = "\(error)"
      #expect(line.hasPrefix("c.yaml:") && !line.contains("\n"), "seed \(seed): \(line)")
    }
  }
}
