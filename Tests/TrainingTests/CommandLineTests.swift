import Checkpoints
import Foundation
import TestSupport
import Testing
import Tokenizers

/// The built program as people run it: bad input gives one line that begins with `isogloss:` and an exit code.
@Suite(.enabled(if: Program.isBuilt, "needs the program beside the tests"))
struct CommandLineTests {
  private func expectFailure(
    _ arguments: [String], code: Int32, _ fragments: [String], launcher: [String] = [],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let outcome = try Program.run(arguments, launcher: launcher)
    let lines = outcome.error.split(separator: "\n").filter { $0.hasPrefix("isogloss:") }
    #expect(outcome.code == code, "\(outcome.error)", sourceLocation: sourceLocation)
    #expect(lines.count == 1, "\(outcome.error)", sourceLocation: sourceLocation)
    for fragment in fragments {
      #expect(
        lines.first?.contains(fragment) ?? false, "'\(fragment)' is not in: \(outcome.error)",
        sourceLocation: sourceLocation)
    }
  }

  /// A small run on disk, trained, and the arguments that trained it.
  private func trained(steps: Int = 3) throws -> (small: SmallRun, config: String, model: String) {
    let small = try SmallRun(sentences: 40)
    let config = small.folder + "/run.yaml"
    try SmallRun.settings.write(toFile: config, atomically: true, encoding: .utf8)
    let outcome = try Program.run(["train", config, "max_steps=\(steps)"])
    #expect(outcome.code == 0, "\(outcome.error)")
    return (small, config, small.folder + "/out/train/model")
  }

  @Test func badCorporaAreNamedByFileAndLine() throws {
    let (small, _, model) = try trained()
    defer { small.remove() }
    let file = small.folder + "/bad.conll"
    func evaluate(_ bytes: [UInt8], code: Int32, _ fragments: String...) throws {
      try Data(bytes).write(to: URL(filePath: file))
      try expectFailure(["evaluate", model, "--data", file], code: code, fragments)
    }
    try evaluate(
      Array("Anna\tB-PER\nJo\u{E9}".utf8.dropLast()) + [0x09, 0x4F, 0x0A], code: 65, "bad.conll:2",
      "UTF-8")
    try evaluate(Array("Anna\tB-PER\nsings\n\n".utf8), code: 65, "bad.conll:2", "tag")
    try evaluate(Array("Anna\tB-PER\nsings\tB-SONG\n\n".utf8), code: 65, "bad.conll:2", "B-SONG")
    try evaluate([], code: 65, "bad.conll")
    try expectFailure(
      ["evaluate", model, "--data", small.folder + "/none.conll"], code: 66, ["none.conll"])
  }

  @Test func badConfigsAreNamedByPlace() throws {
    let (small, config, _) = try trained()
    defer { small.remove() }
    try expectFailure(["train", config, "learning_rte=1e-3"], code: 78, ["learning_rate"])
    try expectFailure(["train", config, "max_steps=many"], code: 78, ["max_steps"])
    try expectFailure(["train", small.folder + "/none.yaml"], code: 66, ["none.yaml"])
    try expectFailure(["trian", config], code: 64, ["train"])
    try expectFailure(["train", config, "--treads", "2"], code: 64, ["--threads"])
    // The directory holds the run that made the model.
    try expectFailure(["train", config, "max_steps=3"], code: 78, ["already holds a run"])
    try expectFailure(
      ["train", config, "max_steps=4", "--resume", "auto"], code: 78,
      ["another config", "'max_steps: 3'", "'max_steps: 4'"])
    try expectFailure(
      ["train", config, "--out", small.folder + "/more", "shards=2", "--simulate-ranks", "3"],
      code: 78, ["shards", "set shards to 3"])
  }

  /// Its run.yaml has none of the keys that came since.
  @Test func aRunOfAnEarlierVersionIsContinued() throws {
    let (small, config, _) = try trained()
    defer { small.remove() }
    let record = small.folder + "/out/run.yaml"
    let text = try String(contentsOfFile: record, encoding: .utf8)
    let lines = text.split(separator: "\n").map { $0.replacing(", initializer: normal", with: "") }
    let earlier = lines.filter { $0 != "log_gradients: false" }.joined(separator: "\n")
    #expect(text.utf8.count - earlier.utf8.count > 40)
    try earlier.write(toFile: record, atomically: true, encoding: .utf8)
    let outcome = try Program.run(["train", config, "max_steps=3", "--resume", "auto"])
    #expect(outcome.code == 0, "\(outcome.error)")
  }

  @Test func badCheckpointsAreNamedByFileAndTensor() throws {
    let (small, config, model) = try trained()
    defer { small.remove() }
    let weights = model + "/model.safetensors"
    let whole = try #require(FileManager.default.contents(atPath: weights))
    let data = small.folder + "/sample/en.test.conll"
    func expectBad(_ bytes: Data, _ fragments: String...) throws {
      try bytes.write(to: URL(filePath: weights))
      try expectFailure(["evaluate", model, "--data", data], code: 65, fragments)
    }
    try expectBad(whole.prefix(whole.count - 100), "model.safetensors")
    try expectBad(whole.prefix(5), "model.safetensors")
    var lying = whole
    lying.replaceSubrange(0..<8, with: [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F])
    try expectBad(lying, "model.safetensors")
    try whole.write(to: URL(filePath: weights))

    let path = model + "/config.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try text.replacing("\"intermediate_size\": 64", with: "\"intermediate_size\": 48").write(
      toFile: path, atomically: true, encoding: .utf8)
    try expectFailure(
      ["evaluate", model, "--data", data], code: 65, ["encoder.layer.0.intermediate", "[64, 32]"])
    try text.write(toFile: path, atomically: true, encoding: .utf8)

    try text.replacing("\"hidden_dropout_prob\": 0.1", with: "\"hidden_dropout_prob\": 1.0").write(
      toFile: path, atomically: true, encoding: .utf8)
    try expectFailure(
      ["evaluate", model, "--data", data], code: 65, ["config.json", "hidden_dropout_prob"])
    try text.replacing("\"num_hidden_layers\": 2", with: "\"num_hidden_layers\": 1000")
      .replacing("\"intermediate_size\": 64", with: "\"intermediate_size\": 1048576").write(
        toFile: path, atomically: true, encoding: .utf8)
    try expectFailure(["evaluate", model, "--data", data], code: 65, ["encoder.layer."])
    try text.write(toFile: path, atomically: true, encoding: .utf8)

    // Labels of another scheme, and a manifest that cannot be read: it may speak of a chain.
    let manifest = model + "/isogloss.json"
    let facts = try String(contentsOfFile: manifest, encoding: .utf8)
    try facts.replacing("\"I-PER\"", with: "\"E-PER\"").write(
      toFile: manifest, atomically: true, encoding: .utf8)
    try expectFailure(
      ["evaluate", model, "--data", data, "--mode", "strict"], code: 65, ["E-PER", "--mode"])
    try String(facts.dropLast(20)).write(toFile: manifest, atomically: true, encoding: .utf8)
    try expectFailure(["evaluate", model, "--data", data], code: 65, ["isogloss.json"])
    try facts.write(toFile: manifest, atomically: true, encoding: .utf8)

    // A tokenizer with more ids than the embedding has rows.
    let vocabulary = model + "/vocab.txt"
    let pieces = try String(contentsOfFile: vocabulary, encoding: .utf8)
    try (pieces + "one\ntwo\n").write(toFile: vocabulary, atomically: true, encoding: .utf8)
    try expectFailure(["evaluate", model, "--data", data], code: 65, ["tokenizer", "rows"])
    _ = config
  }

  @Test(.enabled(if: Program.canMount, "needs root, to mount a small tmpfs"))
  func aFullDiskLosesNothing() throws {
    let (small, config, _) = try trained()
    defer { small.remove() }
    let disk = small.folder + "/disk"
    try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
    try #require(Program.shell("mount -t tmpfs -o size=100k tmpfs \(disk)") == 0)
    defer { _ = Program.shell("umount \(disk)") }
    try expectFailure(
      ["train", config, "max_steps=3", "--out", disk + "/out"], code: 74, ["space", disk])
    let left = try FileManager.default.subpathsOfDirectory(atPath: disk + "/out")
    #expect(!left.contains { $0.contains("model.safetensors") }, "\(left)")
  }

  /// A rank that dies takes the others with it, in one line; the run then goes on to the same bits.
  @Test(.enabled(if: Program.hasMPI, "needs mpirun"), .timeLimit(.minutes(3)))
  func aKilledRankEndsTheOthersAndTheRunGoesOn() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let config = small.folder + "/run.yaml"
    try SmallRun.settings.write(toFile: config, atomically: true, encoding: .utf8)
    let overrides = ["max_steps=400", "save_strategy=steps", "save_steps=20", "seed=5"]
    let unbroken = try Program.run(
      ["train", config] + overrides + ["--out", small.folder + "/a", "--json"],
      launcher: Program.mpirun(2))
    #expect(unbroken.code == 0, "\(unbroken.error)")

    let arguments = ["train", config] + overrides + ["--out", small.folder + "/b", "--json"]
    let broken = try Program.start(arguments, launcher: Program.mpirun(2))
    // The second rank is killed once a checkpoint is there.
    let checkpoint = small.folder + "/b/train/checkpoint-40"
    #expect(Program.wait { FileManager.default.fileExists(atPath: checkpoint) })
    #expect(kill(try #require(Program.ranks(writing: small.folder + "/b").last), SIGKILL) == 0)
    let killed = Date()
    let outcome = broken.finish()
    #expect(Date().timeIntervalSince(killed) < 10)
    #expect(outcome.code != 0)
    // MPICH's mpirun kills the others before they can speak, and says itself what happened.
    let byMPICH = outcome.output.contains("EXIT STRING: Killed (signal 9)")
    let lines = outcome.error.split(separator: "\n").filter { $0.hasPrefix("isogloss:") }
    #expect(lines.count == (byMPICH ? 0 : 1), "\(outcome.error)")

    let resumed = try Program.run(
      arguments + ["--resume", "auto"], launcher: Program.mpirun(2))
    #expect(resumed.code == 0, "\(resumed.error)")
    #expect(try Program.hash(resumed.output) == Program.hash(unbroken.output))
  }

  /// A rank that is told to end says what it was waiting for, in the only line there is.
  @Test(.enabled(if: Program.hasMPI, "needs mpirun"), .timeLimit(.minutes(3)))
  func aRankThatIsEndedNamesWhomItWaitedFor() throws {
    let small = try SmallRun()
    defer { small.remove() }
    let config = small.folder + "/run.yaml"
    try SmallRun.settings.write(toFile: config, atomically: true, encoding: .utf8)
    let run = try Program.start(
      ["train", config, "max_steps=5000", "--out", small.folder + "/a"],
      launcher: Program.mpirun(2))
    #expect(Program.wait { FileManager.default.fileExists(atPath: small.folder + "/a/train") })
    usleep(500_000)
    let ranks = Program.ranks(writing: small.folder + "/a")
    try #require(ranks.count == 2)
    #expect(kill(ranks[1], SIGSTOP) == 0)
    usleep(500_000)
    #expect(kill(ranks[0], SIGTERM) == 0)
    let outcome = run.finish()
    let lines = outcome.error.split(separator: "\n").filter { $0.hasPrefix("isogloss:") }
    #expect(lines.count == 1, "\(outcome.error)")
    #expect(lines.first?.contains("SIGTERM") ?? false, "\(outcome.error)")
    #expect(lines.first?.contains("waiting in") ?? false, "\(outcome.error)")
    #expect(lines.first?.contains("for rank ") ?? false, "\(outcome.error)")
  }

  @Test(arguments: [
    (SIGINT, "USR1", 130), (SIGUSR1, "USR1", 75), (SIGUSR2, "USR2", 75), (SIGTERM, "TERM", 75),
    (SIGUSR1, "TERM", 130),
  ])
  func aSignalledRunIsSavedAndGoesOn(signal: Int32, preemption: String, code: Int32) throws {
    let small = try SmallRun()
    defer { small.remove() }
    let config = small.folder + "/run.yaml"
    try SmallRun.settings.write(toFile: config, atomically: true, encoding: .utf8)
    let arguments = [
      "train", config, "max_steps=2000", "preemption_signal=\(preemption)", "--json",
    ]
    let unbroken = try Program.run(arguments + ["--out", small.folder + "/a"])
    let run = try Program.start(arguments + ["--out", small.folder + "/b"])
    #expect(Program.wait { FileManager.default.fileExists(atPath: small.folder + "/b/train") })
    usleep(200_000)
    #expect(kill(run.process.processIdentifier, signal) == 0)
    let outcome = run.finish()
    #expect(outcome.code == code && outcome.output.isEmpty, "\(outcome.error)")
    let resumed = try Program.run(
      arguments + ["--out", small.folder + "/b", "--resume", "auto"])
    #expect(try Program.hash(resumed.output) == Program.hash(unbroken.output))
  }

  /// `predict` gives back the words, tags that score as `evaluate` says, and logits whose greatest is the tag.
  @Test func predictionsScoreAsEvaluateSays() throws {
    let (small, _, model) = try trained(steps: 60)
    defer { small.remove() }
    let data = small.folder + "/sample/en.test.conll"
    let (output, logits) = (small.folder + "/out.conll", small.folder + "/out.safetensors")
    let predicted = try Program.run(
      ["predict", model, "--input", data, "--output", output, "--logits", logits])
    #expect(predicted.code == 0, "\(predicted.error)")
    func rows(_ path: String) throws -> [[Substring]] {
      try String(contentsOfFile: path, encoding: .utf8)
        .split(separator: "\n", omittingEmptySubsequences: false).map { $0.split(separator: "\t") }
    }
    let (gold, found) = (try rows(data), try rows(output))
    #expect(gold.map(\.first) == found.map(\.first))
    let labels = try #require(HuggingFaceConfig(directory: model).labels)
    let file = try SafetensorsFile(logits)
    let tags = found.compactMap(\.last)
    var scores = [Float](repeating: 0, count: tags.count * labels.count)
    var span = scores.mutableSpan
    try file.read("logits", shape: [tags.count, labels.count], into: &span)
    for (word, tag) in tags.enumerated() {
      let row = scores[word * labels.count..<(word + 1) * labels.count]
      #expect(row.max() == row[word * labels.count + (labels.firstIndex(of: String(tag)) ?? 0)])
    }

    let columns = zip(gold, found).map { $0.isEmpty ? "" : "\($0[0]) \($0[1]) \($1[1])" }
    let compared = small.folder + "/columns.txt"
    try columns.joined(separator: "\n").write(toFile: compared, atomically: true, encoding: .utf8)
    func f1(_ outcome: Program.Outcome) throws -> Double {
      #expect(outcome.code == 0, "\(outcome.error)")
      let value = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
      return try #require((value as? [String: Any])?["overall_f1"] as? Double)
    }
    let evaluated = try f1(
      Program.run(["evaluate", model, "--data", data, "--mode", "conlleval", "--json"]))
    let scored = try Program.run(["score", compared, "--json"])
    let lines = scored.output.split(separator: "\n").filter {
      $0.contains("\"mode\":\"conlleval\"")
    }
    #expect(
      try f1(Program.Outcome(code: scored.code, output: "\(lines[0])", error: "")) == evaluated)

    // The same as tables: one heading, whatever is scored.
    func averages(_ arguments: [String]) throws -> [[Substring]] {
      let outcome = try Program.run(arguments)
      #expect(outcome.code == 0, "\(outcome.error)")
      let rows = outcome.output.split(separator: "\n").map {
        $0.split(separator: "\t", omittingEmptySubsequences: false)
      }
      #expect(
        rows.first == ["file", "language", "mode", "type", "precision", "recall", "f1", "support"])
      return rows.filter { $0[3] == "micro avg" }
    }
    let ofModel = try averages(
      ["evaluate", model, "--data", data, data, "--mode", "conlleval", "--format", "tsv"])
    #expect(ofModel.map(\.first) == [Substring(data), Substring(data)])
    let ofFile = try averages(["score", compared, "--format", "tsv"])
    #expect(ofFile.map { $0[2] } == ["conlleval", "default", "strict"])
    #expect(Double(ofModel[1][6]) == evaluated && Double(ofFile[0][6]) == evaluated)
    let latex = try Program.run(["score", compared, "--format", "latex"])
    #expect(latex.output.hasPrefix("\\begin{tabular}{llllrrrr}\n"))
  }

  @Test func doctorNamesOversubscription() throws {
    let outcome = try Program.run(["doctor", "--json", "--threads", "1000"])
    #expect(outcome.code == 1, "\(outcome.error)")
    let report = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    let findings = try #require((report as? [String: Any])?["findings"] as? [[String: String]])
    #expect(findings.count == 1 && findings[0]["problem"]?.contains("1000 threads share") ?? false)
    #expect(findings.first?["fix"]?.contains("--threads") ?? false)
    let facts = try #require((report as? [String: Any])?["facts"] as? [String: String])
    #expect(facts["numerics"]?.contains("kernels, OpenBLAS") ?? false)
  }

  /// Tasks that srun started without PMI would each run alone: the first says so, and the others nothing.
  @Test func doctorNamesALaunchWhoseRanksAreAlone() throws {
    let srun = ["/usr/bin/env", "-u", "PMIX_RANK", "SLURM_STEP_NUM_TASKS=2"]
    let first = try Program.run(["doctor"], launcher: srun + ["SLURM_PROCID=0"])
    #expect(first.code == 1, "\(first.error)")
    let problems = first.output.split(separator: "\n").filter { $0.hasPrefix("problem: ") }
    #expect(problems.count == 1, "\(first.output)")
    #expect(problems.first?.hasPrefix("problem: launch: rank 0 of 1, although") ?? false)
    #expect(problems.first?.contains("srun --mpi=pmi") ?? false)
    let second = try Program.run(["doctor"], launcher: srun + ["SLURM_PROCID=1"])
    #expect(second.code == 0 && second.output.isEmpty, "\(second.output)")
  }

  /// A guardian may be killed before its rank has begun to watch it: the end is said all the same.
  @Test func aRankWhoseGuardianIsGoneAtItsStartSaysSo() throws {
    let folder = NSTemporaryDirectory() + "isogloss-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let outcome = try Program.run(
      ["doctor"],
      launcher: [
        "env", "TMPDIR=\(folder)", "OMPI_COMM_WORLD_RANK=2", "OMPI_COMM_WORLD_SIZE=3",
        "PMIX_RANK=2", "ISOGLOSS_GUARDIAN=9 1",
      ])
    #expect(outcome.code == 129, "\(outcome.error)")
    #expect(outcome.output.isEmpty, "\(outcome.output)")
    #expect(outcome.error.hasPrefix("isogloss: rank 2: ended by signal 1 (SIGHUP)"))
    #expect(outcome.error.split(separator: "\n").count == 1, "\(outcome.error)")
  }

  /// A table without bf16 instructions trains in fp32 and says so, or rounds as bf16 does if it is told to.
  @Test func bf16FallsBackAndSaysSo() throws {
    let small = try SmallRun(sentences: 40)
    defer { small.remove() }
    let config = small.folder + "/run.yaml"
    try SmallRun.settings.write(toFile: config, atomically: true, encoding: .utf8)
    func train(_ name: String, _ overrides: [String], emulated: Bool = false) throws -> String {
      let environment = ["env", "ISOGLOSS_KERNELS=reference"]
      let outcome = try Program.run(
        ["train", config, "max_steps=2", "--json", "--out", small.folder + "/" + name] + overrides,
        launcher: environment + (emulated ? ["ISOGLOSS_BF16=emulate"] : []))
      #expect(outcome.code == 0, "\(outcome.error)")
      let says = outcome.error.contains("products stay in fp32")
      #expect(says == (!overrides.isEmpty && !emulated), "\(outcome.error)")
      let result = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
      return try #require((result as? [String: Any])?["weightHash"] as? String)
    }
    let fp32 = try train("fp32", [])
    #expect(try train("bf16", ["bf16=true"]) == fp32)
    #expect(try train("emulated", ["bf16=true"], emulated: true) != fp32)
  }

  /// The word table stays in its file while a model is used: a file cut short meanwhile is one line, not a crash.
  @Test(.timeLimit(.minutes(3))) func aMappedFileThatIsCutShortIsOneLine() throws {
    let (small, config, model) = try trained()
    defer { small.remove() }
    let started = try Program.start(
      [
        "train", config, "model=null", "tokenizer=null", "init=\(model)", "max_steps=100000",
        "logging_steps=1", "--out", small.folder + "/mapped",
      ])
    let log = started.folder + "/error"
    #expect(
      Program.wait {
        String(decoding: FileManager.default.contents(atPath: log) ?? Data(), as: UTF8.self)
          .contains("step 2/")
      })
    #expect(unsafe truncate(model + "/model.safetensors", 0) == 0)
    let outcome = started.finish()
    #expect(outcome.code == 74, "\(outcome.error.suffix(500))")
    #expect(outcome.error.contains("isogloss: a mapped checkpoint was shortened"))
  }

  /// One trace of all ranks: their operations, and the buckets of gradients beside them.
  @Test func theTraceHoldsEveryRank() throws {
    let small = try SmallRun(sentences: 40)
    defer { small.remove() }
    let config = small.folder + "/run.yaml"
    let file = small.folder + "/trace.json"
    try SmallRun.settings.write(toFile: config, atomically: true, encoding: .utf8)
    let outcome = try Program.run(
      ["train", config, "max_steps=3", "--simulate-ranks", "3", "--trace", file])
    #expect(outcome.code == 0, "\(outcome.error)")
    let bytes = try #require(FileManager.default.contents(atPath: file))
    let trace = try JSONSerialization.jsonObject(with: bytes)
    let events = try #require((trace as? [String: Any])?["traceEvents"] as? [[String: Any]])
    for rank in 0..<3 {
      let own = events.filter { $0["pid"] as? Int == rank && $0["ph"] as? String == "X" }
      let transfers = own.filter { $0["tid"] as? Int == 1 }
      #expect(transfers.count == 3 && transfers.allSatisfy { $0["name"] as? String == "bucket 0" })
      #expect(own.filter { $0["name"] as? String == "AdamW" }.count == 3)
    }
  }

  /// From a trained model to pruning, Fisher diagonals and their overlap, alone and under a launcher.
  @Test func aModelIsAnalysed() throws {
    let small = try SmallRun(sentences: 40)
    defer { small.remove() }
    let config = small.folder + "/run.yaml"
    try SmallRun.settings.write(toFile: config, atomically: true, encoding: .utf8)
    let out = small.folder + "/out"
    func run(_ words: [String], launcher: [String] = []) throws -> String {
      let outcome = try Program.run(words, launcher: launcher)
      #expect(outcome.code == 0, "\(words): \(outcome.error)")
      return outcome.output
    }
    func lines(_ output: String) throws -> [[String: Any]] {
      try output.split(separator: "\n").map {
        try #require(
          try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
    }
    _ = try run(["train", config, "max_steps=3", "head=crf", "--out", out])
    let model = out + "/train/model"
    let files = ["en", "ru"].map { small.folder + "/sample/\($0).train.conll" }
    let pruned = try lines(try run(["analyze", "prune", model, "--json", "--data"] + files))
    #expect(pruned.count == 2 && pruned.allSatisfy { ($0["levels"] as? [Any])?.count == 11 })
    func fisher(_ name: String, launcher: [String] = []) throws -> [Data?] {
      let folder = small.folder + "/" + name
      _ = try run(
        ["analyze", "fisher", model, "--sentences", "4", "--samples", "3", "--out", folder]
          + ["--data", "en=" + files[0], "ru=" + files[1]], launcher: launcher)
      return ["en", "ru"].map {
        FileManager.default.contents(atPath: "\(folder)/\($0).safetensors")
      }
    }
    let alone = try fisher("alone")
    #expect(alone[0] != nil && alone[0] != alone[1])
    if Program.hasMPI {
      #expect(try fisher("ranks", launcher: Program.mpirun(3)) == alone)
    }
    let overlap = try lines(
      try run(
        ["analyze", "overlap", "--json"]
          + ["en", "ru"].map { small.folder + "/alone/\($0).safetensors" }))
    #expect((overlap.first?["cells"] as? [Any])?.isEmpty == false)
    for words in [["prune"], ["fisher", model], ["overlap"], ["errors"], ["shared", out]] {
      #expect(try Program.run(["analyze"] + words).code == 64, "\(words)")
    }
    #expect(try run(["analyze", "errors", out]).contains("PER"))
    #expect(try Program.run(["analyze", "errors", out + "/nothing"]).code == 66)
  }

  @Test func tokenizersAreCompared() throws {
    let small = try SmallRun(sentences: 40)
    defer { small.remove() }
    let tokenizer = small.folder + "/sample/tokenizer"
    let other = small.folder + "/other"
    try FileManager.default.copyItem(atPath: tokenizer, toPath: other)
    let lines = "x\n\nL\n"
    let same = try Program.run(["tokenizer", "compare", tokenizer, other], input: lines)
    #expect(same.code == 0 && same.output.isEmpty && same.error == "0 of 3 lines differ\n")
    // Two pieces change places.
    let path = other + "/vocab.txt"
    var pieces = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
    let place = try #require(pieces.firstIndex(of: "L"))
    pieces.swapAt(place, place + 1)
    try (pieces.joined(separator: "\n") + "\n").write(
      toFile: path, atomically: true, encoding: .utf8)
    let differs = try Program.run(["tokenizer", "compare", tokenizer, other], input: lines)
    #expect(differs.code == 1 && differs.error == "1 of 3 lines differ\n")
    #expect(differs.output.hasPrefix("line 3: L\n"), "\(differs.output)")
    try expectFailure(
      ["tokenizer", "compare", tokenizer, small.folder + "/none"], code: 66, ["none"])
  }
}

/// The program under test, and what it needs of the machine.
enum Program {
  static let path = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    .appending(path: "isogloss").path

  static var isBuilt: Bool { FileManager.default.isExecutableFile(atPath: path) }
  static var hasMPI: Bool {
    shell("command -v ${ISOGLOSS_MPIRUN:-mpirun} >/dev/null") == 0 && isBuilt
  }
  static var canMount: Bool {
    getuid() == 0
      && shell("d=$(mktemp -d) && mount -t tmpfs tmpfs $d 2>/dev/null && umount $d") == 0
  }

  static func mpirun(_ ranks: Int) -> [String] {
    let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Launch/mpirun")
    return [script.path, "-n", "\(ranks)", "--threads", "1"]
  }

  /// The processes of the program, not of its launcher, that have `folder` among their arguments, oldest first.
  static func ranks(writing folder: String) -> [pid_t] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { pid_t($0) }.sorted().filter { process in
      let bytes = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") ?? Data()
      let words = bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      let variables = FileManager.default.contents(atPath: "/proc/\(process)/environ") ?? Data()
      // Not the guardians that the launcher has started.
      return words.first?.hasSuffix("/isogloss") ?? false && words.contains(folder)
        && variables.split(separator: 0).contains {
          $0.starts(with: Data("ISOGLOSS_GUARDIAN=".utf8))
        }
    }
  }

  /// Waits for what must come within a minute.
  static func wait(until condition: () -> Bool) -> Bool {
    let deadline = Date() + 60
    while Date() < deadline {
      if condition() { return true }
      usleep(2000)
    }
    return false
  }

  static func shell(_ command: String) -> Int32 {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", command]
    guard (try? process.run()) != nil else { return -1 }
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// The weight hash of the one result that a run printed.
  static func hash(_ output: String) throws -> String {
    let value = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any]
    return try #require(value?["weightHash"] as? String)
  }

  struct Outcome {
    var code: Int32
    var output: String
    var error: String
  }

  /// A started program, whose output goes to files so that no pipe can fill.
  struct Started {
    let process: Process
    let folder: String

    func finish() -> Outcome {
      process.waitUntilExit()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      func text(_ name: String) -> String {
        let bytes = FileManager.default.contents(atPath: folder + "/" + name) ?? Data()
        return String(decoding: bytes, as: UTF8.self)
      }
      return Outcome(
        code: process.terminationStatus, output: text("output"), error: text("error"))
    }
  }

  static func start(
    _ arguments: [String], launcher: [String] = [], input: String? = nil
  ) throws -> Started {
    let folder = NSTemporaryDirectory() + "isogloss-out-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    func file(_ name: String) throws -> FileHandle {
      _ = FileManager.default.createFile(atPath: folder + "/" + name, contents: nil)
      return try FileHandle(forWritingTo: URL(filePath: folder + "/" + name))
    }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = launcher + [path] + arguments
    process.standardOutput = try file("output")
    process.standardError = try file("error")
    process.standardInput = FileHandle.nullDevice
    if let input {
      try input.write(toFile: folder + "/input", atomically: true, encoding: .utf8)
      process.standardInput = try FileHandle(forReadingFrom: URL(filePath: folder + "/input"))
    }
    try process.run()
    return Started(process: process, folder: folder)
  }

  static func run(
    _ arguments: [String], launcher: [String] = [], input: String? = nil
  ) throws -> Outcome {
    try start(arguments, launcher: launcher, input: input).finish()
  }
}
