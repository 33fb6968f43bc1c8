import Configuration
import Testing

private let train = Command(
  "train", "Trains what a configuration says.",
  positionals: [
    Positional("CONFIG", "The configuration file."),
    Positional("key=value", count: .any, "Overrides of the file, dotted."),
  ],
  options: [
    Option("out", value: "DIR", default: "the file's output_dir", "Where the run goes."),
    Option("threads", value: "N", default: "1", "Threads of each rank."),
    Option(
      "json",
      "Prints machine-readable lines on standard output, one for each interval of a run's log."),
    Option("tag", value: "WORD", isRepeated: true, "A word to remember."),
    Option("data", value: "FILE", takesMany: true, "Files."),
  ], notes: ["Paths in overrides are relative to the file's folder."], run: { _ in })

private let program = CommandTree(
  "isogloss", "Trains multilingual encoders.",
  commands: [
    train,
    Command(
      "checkpoint inspect", "Shows a checkpoint.", positionals: [Positional("DIR", "It.")],
      run: { _ in }),
    Command(
      "checkpoint verify", "Checks a checkpoint.", positionals: [Positional("DIR", "It.")],
      run: { _ in }),
    Command(
      "score", "Scores.", positionals: [Positional("FILE", count: .atLeastOne, "Files to score.")],
      run: { _ in }),
    Command(
      "doctor", "Looks around.", positionals: [Positional("DIR", count: .optional, "Where.")],
      run: { _ in }),
  ])

private func run(_ words: String...) throws -> ParsedArguments {
  guard case .run(_, let arguments) = try program.parse(words) else {
    throw UsageError("help", command: "")
  }
  return arguments
}

private func error(_ words: String...) -> String {
  do {
    _ = try program.parse(words)
    return "no error"
  } catch {
    return error.description
  }
}

private func help(_ words: String...) throws -> String {
  guard case .help(let text) = try program.parse(words) else { return "no help" }
  return text
}

@Test func optionsStandAnywhereInBothSpellings() throws {
  let arguments = try run(
    "train", "--out=a=b", "c.yaml", "--threads", "4", "x=1", "--json", "y=2", "--tag", "p",
    "--tag", "q", "--data", "d", "e", "--", "--z=3")
  #expect(arguments.command == "train")
  #expect(arguments.positional("CONFIG") == "c.yaml")
  #expect(arguments.positionals("key=value") == ["x=1", "y=2", "--z=3"])
  #expect(arguments.value("out") == "a=b")
  #expect(try arguments.integer("threads", in: 1...64) == 4)
  #expect(arguments.has("json") && !arguments.has("seed"))
  #expect(arguments.values("tag") == ["p", "q"])
  #expect(arguments.values("data") == ["d", "e"])
  #expect(try run("checkpoint", "inspect", "d").command == "checkpoint inspect")
  #expect(try run("doctor").positionals("DIR").isEmpty)
  #expect(try run("train", "-", "a=-1").positional("CONFIG") == "-")
}

@Test func wrongCommandLinesAreNamed() {
  #expect(error() == "a command is missing (see isogloss --help)")
  #expect(
    error("trian") == "unknown command 'trian'; did you mean 'train'? (see isogloss --help)")
  #expect(error("fly").contains("known: train, checkpoint, score, doctor"))
  #expect(error("checkpoint").contains("needs another word: checkpoint inspect, checkpoint verify"))
  #expect(error("checkpoint", "inspct", "d").contains("did you mean 'inspect'?"))
  #expect(
    error("train") == "CONFIG is missing: The configuration file. (see isogloss train --help)")
  #expect(error("score").hasPrefix("FILE is missing"))
  #expect(error("doctor", "a", "b").hasPrefix("unexpected word 'b'"))
  #expect(
    error("train", "c", "--thread", "4")
      == "unknown option '--thread'; did you mean --threads? (see isogloss train --help)")
  #expect(error("train", "c", "--nonsense=1").hasPrefix("unknown option '--nonsense' (see"))
  #expect(error("train", "c", "-x").hasPrefix("unknown option '-x'"))
  #expect(error("train", "c", "--out").hasPrefix("--out needs a value: DIR"))
  #expect(error("train", "c", "--out", "--json").hasPrefix("--out needs a value: DIR"))
  #expect(error("train", "c", "--out=").hasPrefix("--out needs a value: DIR"))
  #expect(error("train", "c", "--json=1").hasPrefix("--json is a flag and takes no value"))
  #expect(error("train", "c", "--out", "a", "--out", "b").hasPrefix("--out is given twice"))
  #expect(error("train", "c", "--json", "--json").hasPrefix("--json is given twice"))
  #expect(!error("train\n").contains("\n"))
}

@Test func numbersAndChoicesAreChecked() throws {
  let arguments = try run("train", "c", "--threads", "0", "--out", "txt")
  #expect(
    throws: UsageError(
      "--threads must be a whole number at least 1, found '0'", command: "isogloss train")
  ) { try arguments.integer("threads", in: 1...Int.max) }
  #expect(
    throws: UsageError(
      "--out: unknown value 'txt'; did you mean 'text'?", command: "isogloss train")
  ) { try arguments.choice("out", of: ["json", "text"]) }
  #expect(try arguments.choice("tag", of: ["a"]) == nil)
}

@Test func helpIsMadeFromTheDescription() throws {
  #expect(
    try help("train", "--help") == """
      Trains what a configuration says.

      Usage: isogloss train CONFIG [key=value …] [options]

        CONFIG        The configuration file.
        key=value     Overrides of the file, dotted.

      Options:
        --out DIR     Where the run goes. Default: the file's output_dir.
        --threads N   Threads of each rank. Default: 1.
        --json        Prints machine-readable lines on standard output, one for each interval of a run's
                      log.
        --tag WORD    A word to remember. May be given several times.
        --data FILE…  Files.
        --help        Prints this text.

      Paths in overrides are relative to the file's folder.

      """)
  #expect(try help("help", "train") == help("train", "-h"))
  #expect(try help("help").contains("  checkpoint inspect  Shows a checkpoint."))
  let group = try help("checkpoint", "--help")
  #expect(group.contains("checkpoint verify") && !group.contains("train"))
  for text in [try help("--help"), try help("train", "--help")] {
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 100 })
  }
}
