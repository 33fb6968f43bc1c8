import Foundation
import TestSupport
import Testing

/// What a run keeps of its predictions, its tables over seeds, and `isogloss compare` on both.
@Suite struct CompareTests {
  /// A run of two seeds: each language alone, both, and a language that nothing trains.
  private func run() throws -> (small: SmallRun, out: String, table: String) {
    let small = try SmallRun(languages: ["en", "ru", "de"])
    let config = small.folder + "/run.yaml"
    let settings = SmallRun.settings.replacing(
      "output_dir: out",
      with: "  de: {dev: [sample/de.dev.conll], test: [sample/de.test.conll]}\noutput_dir: out")
    try settings.write(toFile: config, atomically: true, encoding: .utf8)
    let outcome = try Program.run([
      "train", config, "seeds=[1,2]", "max_steps=30", "--threads", "1",
      "stages=[{name: 'alone {language}', each: language}, {name: both}]",
    ])
    #expect(outcome.code == 0, "\(outcome.error)")
    return (small, small.folder + "/out", outcome.output)
  }

  private func text(_ path: String) throws -> String {
    try String(contentsOfFile: path, encoding: .utf8)
  }

  @Test func aRunOfSeedsIsComparedWithItself() throws {
    let (small, out, table) = try run()
    defer { small.remove() }
    // Tables: mean ± deviation, the best by dev, and what was never trained.
    let lines = table.split(separator: "\n")
    #expect(lines[0].contains("best by dev") && lines[1].contains("±"), "\(table)")
    let zeroShot = try #require(lines.first { $0.hasPrefix("de ") })
    // Two stages did not train it: which one stands in `alone` cannot be told.
    #expect(zeroShot.contains("*") && zeroShot.contains("-"), "\(table)")
    #expect(table.contains("* not trained on this language"), "\(table)")

    // Predictions: words and gold of the corpus, and counts that carry no word.
    let predictions = out + "/both-seed-2/predictions"
    let gold = try text(small.folder + "/sample/ru.test.conll").split(separator: "\n")
    let found = try text(predictions + "/ru.test.conll").split(separator: "\n")
    #expect(
      gold.map { $0.split(separator: "\t").prefix(2) }
        == found.map { $0.split(separator: "\t").prefix(2) })
    let counts = try text(predictions + "/ru.test.counts.tsv")
    #expect(counts.hasPrefix("# {\"format\":\"isogloss counts 1\",\"system\":\"both\""))
    #expect(!counts.contains(gold[0].split(separator: "\t")[0] + "\t"))
    let verified = try Program.run(["checkpoint", "verify", predictions])
    #expect(verified.code == 0, "\(verified.error)")

    // The scores are those of `score` on the same file.
    let scored = try Program.run(["score", predictions + "/ru.test.conll", "--json"])
    let results =
      try JSONSerialization.jsonObject(
        with: Data(try text(out + "/results.json").utf8)) as? [String: Any]
    let scores = try #require(results?["scores"] as? [[String: Any]])
    let own = try #require(
      scores.first {
        $0["stage"] as? String == "both seed 2" && $0["language"] as? String == "ru"
          && $0["part"] as? String == "test" && $0["metric"] as? String == "f1"
      }?["value"] as? Double)
    let line = try #require(
      scored.output.split(separator: "\n").first { $0.contains("\"mode\":\"default\"") })
    let other = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    #expect(own == other?["overall_f1"] as? Double)

    // Compare: languages in common, paired seeds, the same bits again.
    let arguments = ["compare", out + "/alone", out + "/both", "--rounds", "200"]
    let compared = try Program.run(arguments)
    #expect(compared.code == 0, "\(compared.error)")
    #expect(compared.output.contains("2 paired seeds"), "\(compared.output)")
    #expect(try Program.run(arguments).output == compared.output)
    let csv = try Program.run(arguments + ["--csv"]).output.split(separator: "\n")
    #expect(csv.count == 4 && csv[0].hasPrefix("first,second,language,seeds"), "\(csv)")
    // A system against itself differs in nothing.
    let same = try Program.run(
      ["compare", out + "/both", out + "/both", "--rounds", "100", "--json"])
    #expect(same.output.contains("\"difference\":0.0") && same.output.contains("\"p\":1.0"))
    // Counts alone are enough.
    try FileManager.default.removeItem(atPath: predictions + "/ru.test.conll")
    #expect(try Program.run(arguments).output == compared.output)
    #expect(try Program.run(arguments + ["--format", "latex"]).output.contains("\\begin{tabular}"))

    // One stage of several seeds; one system alone, which is compared with nothing.
    let stage = try Program.run(["compare", out + "/alone en", out + "/both", "--rounds", "100"])
    #expect(stage.code == 0 && stage.output.contains("2 paired seeds"), "\(stage.error)")
    let single = try Program.run(["compare", out + "/both", "--rounds", "100", "--csv"])
    #expect(single.output.split(separator: "\n").dropFirst().allSatisfy { $0.contains("both,,") })
    #expect(single.output.split(separator: "\n").dropFirst().allSatisfy { $0.contains(",,,,") })

    // Of several seeds p and interval answer two questions, and that is said.
    #expect(compared.output.contains("says nothing of another seed"), "\(compared.output)")

    // What does not arrive is an error; a page replaces no input.
    let lost = try Program.run(
      ["compare", out + "/both", "--rounds", "100"],
      launcher: ["/bin/sh", "-c", "exec \"$0\" \"$@\" > /dev/full"])
    #expect(lost.code == 74 && lost.error.contains("standard output"), "\(lost.error)")
    let page = try Program.run(["report", out, "--out", out + "/results.json"])
    #expect(page.code == 74 && page.error.contains("is no page"), "\(page.error)")
    let nowhere = try Program.run(["report", out, "--out", out + "/no/page.html"])
    #expect(nowhere.code == 74 && nowhere.error.contains("its directory"), "\(nowhere.error)")

    // Counts of strangers are checked before anything is made of them.
    let rows = counts.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    for (line, change, words) in [
      (2, "4000000000\t", "is of document 4000000000"), (2, "-1\t", "where a count belongs"),
      (2, "", "columns and not"), (0, "# {\"format\":\"other\"}", "is not of the format"),
      (
        0, "# {\"format\":\"isogloss counts 1\",\"types\":[\"\\u001b[31m\"]}",
        "does not name the columns"
      ),
    ] {
      var changed = rows
      changed[line] =
        line == 0
        ? change : change + changed[line].split(separator: "\t").dropFirst().joined(separator: "\t")
      let file = small.folder + "/ru.test.counts.tsv"
      try changed.joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
      let outcome = try Program.run(["compare", file, file])
      #expect(outcome.code == 65 && outcome.error.contains(words), "\(outcome.error)")
    }

    // Nothing is correct that is not there.
    var impossible = rows
    impossible[2] = impossible[2].split(separator: "\t").dropLast().joined(separator: "\t") + "\t7"
    let counted = small.folder + "/ru.test.counts.tsv"
    try impossible.joined(separator: "\n").write(toFile: counted, atomically: true, encoding: .utf8)
    let odd = try Program.run(["compare", counted, counted])
    #expect(odd.code == 65 && odd.error.contains(":3: has counts that no sentence"), "\(odd.error)")

    // Files of tags have no language but their names': two files are compared all the same.
    let tags = small.folder + "/one.conll"
    try FileManager.default.copyItem(atPath: predictions + "/en.test.conll", toPath: tags)
    let files = try Program.run([
      "compare", predictions + "/en.test.conll", tags, "--rounds", "100",
    ])
    #expect(files.code == 0 && !files.output.contains("en*"), "\(files.error)")

    // Predictions that are not there, and gold that is not the same, are said in a line.
    let missing = try Program.run(["compare", out + "/nothing", out + "/both"])
    #expect(
      missing.code == 66 && missing.error.contains("the systems of \(out): alone, both"),
      "\(missing.error)")
    let changed = try text(predictions + "/en.test.conll").replacing("\tO\t", with: "\tB-XX\t")
    let file = small.folder + "/en.test.conll"
    try changed.write(toFile: file, atomically: true, encoding: .utf8)
    let unequal = try Program.run(["compare", predictions + "/en.test.counts.tsv", file])
    #expect(
      unequal.code == 65 && unequal.error.contains("is of other gold than"), "\(unequal.error)")
  }

  /// A swept stage is the try that is best on dev, with its weights and predictions; a later stage begins with it.
  @Test func aSweepIsItsBestTry() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let config = small.folder + "/run.yaml"
    try SmallRun.settings.write(toFile: config, atomically: true, encoding: .utf8)
    let arguments = [
      "train", config, "--threads", "1", "report=true",
      "stages=[{name: tuned, sweep: {learning_rate: [1.0e-12, 3.0e-3], head: [softmax, crf]}}, "
        + "{name: fine, init: tuned, head: softmax}]",
    ]
    let dry = try Program.run(arguments + ["--dry-run"])
    #expect(dry.output.contains("tuned: the best on dev of 4 tries"), "\(dry.error)")
    let outcome = try Program.run(arguments + ["max_steps=40"])
    #expect(outcome.code == 0, "\(outcome.error)")
    let out = small.folder + "/out"
    let results =
      try JSONSerialization.jsonObject(
        with: Data(try text(out + "/results.json").utf8)) as? [String: Any]
    let stages = try #require(results?["stages"] as? [[String: Any]])
    let tries = stages.filter { $0["try_of"] as? String == "tuned" }
    let best = try #require(
      tries.max { ($0["dev"] as? Double ?? 0) < ($1["dev"] as? Double ?? 0) })
    let tuned = try #require(stages.first { $0["stage"] as? String == "tuned" })
    #expect(tries.count == 4 && tuned["tries"] as? Int == 4)
    #expect(tuned["chosen"] as? String == best["stage"] as? String)
    #expect(tuned["weight_hash"] as? String == best["weight_hash"] as? String)
    // The tables have the stage, not its tries; so does compare, which counts them.
    let heading = try #require(outcome.output.split(separator: "\n").first)
    #expect(heading.split(separator: " ") == ["test", "F1", "tuned", "fine"], "\(heading)")
    #expect(outcome.output.contains("best on dev of 4 tries"), "\(outcome.output)")
    let compared = try Program.run(["compare", out + "/fine", out + "/tuned", "--rounds", "100"])
    #expect(
      compared.output.contains("tuned was chosen by dev among 4 tries"), "\(compared.error)")
    #expect(try text(out + "/report.html").contains("of the tries of each, the best on dev"))
    let verified = try Program.run(["checkpoint", "verify", out + "/tuned/model"])
    #expect(verified.code == 0, "\(verified.error)")
    // All of it is complete, and a run of another sweep is another run.
    let again = try Program.run(arguments + ["max_steps=40", "--resume", "auto"])
    #expect(again.code == 0 && again.output == outcome.output, "\(again.error)")
    let other = try Program.run(
      arguments.dropLast() + [
        "max_steps=40", "--resume", "auto",
        "stages=[{name: tuned, sweep: {learning_rate: [1.0e-3]}}, {name: fine, init: tuned}]",
      ])
    #expect(other.code == 78, "\(other.error)")
  }

  @Test(arguments: [
    ("sweep: {learning_rat: [1]}", "is no key of training and none of task"),
    ("sweep: {learning_rate: 1}", "expected a list of values"),
    ("sweep: {learning_rate: [1.0, 1.0]}", "a value is listed twice"),
    ("sweep: {learning_rate: [-1.0]}", "learning_rate"),
    ("sweep: {}", "sweep: is empty"), ("sweep: {learning_rate: []}", "learning_rate: is empty"),
    ("sweep: {learning_rate: [1.0e-3, 0.001]}", "a value is listed twice"),
    ("sweep: {learning_rate: [1.0]}, save_strategy: no", "leaves nothing to choose from"),
  ])
  func aWrongSweepIsALine(keys: String, words: String) throws {
    let small = try SmallRun()
    defer { small.remove() }
    #expect {
      _ = try small.configuration("run", ["stages=[{name: a, \(keys)}]"])
    } throws: {
      "\($0)".contains(words) && !"\($0)".contains("\n")
    }
  }

  /// A run in progress has no results yet, and a log whose last line is not whole.
  @Test func aRunInProgressIsReported() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let run = small.folder + "/begun"
    try FileManager.default.createDirectory(atPath: run, withIntermediateDirectories: true)
    try "task: <b>".write(toFile: run + "/run.yaml", atomically: true, encoding: .utf8)
    let line = "{\"stage\":\"a <script>\",\"step\":10,\"loss\":0.5,\"learning_rate\":1e-4}\n"
    try (line + "{\"stage\":\"a").write(
      toFile: run + "/metrics.jsonl", atomically: true, encoding: .utf8)
    let page = small.folder + "/page.html"
    let outcome = try Program.run(["report", run, "--out", page])
    #expect(outcome.code == 0, "\(outcome.error)")
    let html = try text(page)
    #expect(html.contains("a &lt;script&gt;") && html.contains("task: &lt;b&gt;"))
    #expect(!html.contains("<script") && html.contains("1 begun, 0 of them complete"))
    #expect(html.contains("is in progress or was interrupted"))
    let missing = try Program.run(["report", small.folder, "--out", page])
    #expect(missing.code == 66 && missing.error.contains("holds no run"), "\(missing.error)")
  }

  @Test func predictionsAreLeftOutWhenAsked() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let configuration = try small.configuration("run", ["save_predictions=false"])
    _ = try SmallRun.execute(configuration)
    let predictions = small.folder + "/run/train/predictions"
    #expect(!FileManager.default.fileExists(atPath: predictions))
    let outcome = try Program.run(["compare", small.folder + "/run", small.folder + "/run"])
    #expect(outcome.code == 66 && outcome.error.contains("save_predictions"), "\(outcome.error)")
  }

  /// The labels of a part are gathered from all ranks, in the order of its sentences.
  @Test func ranksKeepTheSamePredictions() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let config = small.folder + "/run.yaml"
    try SmallRun.settings.write(toFile: config, atomically: true, encoding: .utf8)
    var files: [[String]] = []
    for ranks in [1, 3] {
      let out = small.folder + "/ranks-\(ranks)"
      let outcome = try Program.run([
        "train", config, "full_determinism=true", "eval_tokens_per_batch=64", "--threads", "1",
        "--simulate-ranks", "\(ranks)", "--out", out,
      ])
      #expect(outcome.code == 0, "\(outcome.error)")
      files.append(
        try ["en.dev", "ru.test"].flatMap { name in
          try [".conll", ".counts.tsv"].map { try text(out + "/train/predictions/" + name + $0) }
        })
    }
    #expect(files[0] == files[1])
  }
}
