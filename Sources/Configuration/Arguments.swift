/// An option of a command: a flag, or one with a value.
public struct Option: Sendable, Equatable {
  /// Without the dashes: `out`.
  public var name: String
  /// What stands for the value in help, in capitals: `DIR`. Nil for a flag.
  public var value: String?
  /// One short sentence.
  public var help: String
  /// What its absence means, for help; nil if that needs no word.
  public var defaultText: String?
  /// Whether it may be given several times.
  public var isRepeated: Bool
  /// Whether it takes all the words behind it that are not options: `--data FILE…`.
  public var takesMany: Bool

  public init(
    _ name: String, value: String? = nil, default defaultText: String? = nil,
    isRepeated: Bool = false, takesMany: Bool = false, _ help: String
  ) {
    precondition(value != nil || !takesMany, "--\(name) is a flag and takes no values")
    self.name = name
    self.value = value
    self.help = help
    self.defaultText = defaultText
    self.isRepeated = isRepeated || takesMany
    self.takesMany = takesMany
  }

  /// As help and usage spell it: `--out DIR`.
  var spelling: String { "--\(name)" + (value.map { " \($0)" } ?? "") + (takesMany ? "…" : "") }
}

/// A word of a command that is no option.
public struct Positional: Sendable, Equatable {
  public enum Count: Sendable { case one, optional, any, atLeastOne }

  /// What stands for it in help: `CONFIG`.
  public var name: String
  public var count: Count
  public var help: String

  public init(_ name: String, count: Count = .one, _ help: String) {
    self.name = name
    self.count = count
    self.help = help
  }

  var spelling: String {
    switch count {
    case .one: name
    case .optional: "[\(name)]"
    case .any: "[\(name) …]"
    case .atLeastOne: "\(name) …"
    }
  }
}

/// A command line that cannot be run: one line, and exit code 64.
public struct UsageError: Error, Equatable, CustomStringConvertible {
  /// What `isogloss` exits with.
  public static let exitCode: Int32 = 64

  public var message: String
  /// The command whose `--help` says more: `isogloss train`.
  public var command: String

  public init(_ message: String, command: String) {
    self.message = message
    self.command = command
  }

  public var description: String { "\(message) (see \(command) --help)".onOneLine }
}

/// A command: its words, from which both its help and its parsing come, and its work.
public struct Command: Sendable {
  /// One word or two: `train`, `checkpoint inspect`.
  public var name: String
  /// One sentence.
  public var summary: String
  public var positionals: [Positional]
  public var options: [Option]
  /// Paragraphs below the options in help.
  public var notes: [String]
  /// Does the command's work.
  public var run: @Sendable (ParsedArguments) throws -> Void

  /// - Precondition: Names differ, and only the last positional takes several words or none.
  public init(
    _ name: String, _ summary: String, positionals: [Positional] = [], options: [Option] = [],
    notes: [String] = [], run: @escaping @Sendable (ParsedArguments) throws -> Void
  ) {
    precondition(
      Set(options.map(\.name)).count == options.count, "\(name) has two options of one name")
    precondition(
      positionals.dropLast().allSatisfy { $0.count == .one },
      "only the last positional of \(name) can be absent or repeated")
    self.name = name
    self.summary = summary
    self.positionals = positionals
    self.options = options
    self.notes = notes
    self.run = run
  }

  /// Takes the words behind the command's name apart.
  ///
  /// Options may stand anywhere; `--name value` and `--name=value` are the same; behind `--` every
  /// word is a positional. With `--help` or `-h` nothing is required.
  ///
  /// - Throws: ``UsageError`` that names the word, with the nearest known option for an unknown one.
  public func parse(_ words: [String], program: String = "isogloss") throws(UsageError)
    -> ParsedArguments
  {
    var result = ParsedArguments(command: name, program: program)
    var rest = words[...]
    var positionalsOnly = false
    while let word = rest.popFirst() {
      if positionalsOnly || !word.hasPrefix("-") || word == "-" {
        result.words.append(word)
      } else if word == "--" {
        positionalsOnly = true
      } else if word == "--help" || word == "-h" {
        result.isHelpRequested = true
      } else {
        try take(word, &rest, into: &result)
      }
    }
    if !result.isHelpRequested { try assign(&result) }
    return result
  }

  private func take(
    _ word: String, _ rest: inout ArraySlice<String>, into result: inout ParsedArguments
  ) throws(UsageError) {
    func error(_ message: String) -> UsageError {
      UsageError(message, command: "\(result.program) \(name)")
    }
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let spelled = String(parts.first ?? "")
    let optionName = String(spelled.drop { $0 == "-" })
    guard spelled.hasPrefix("--"), let option = options.first(where: { $0.name == optionName })
    else {
      let nearest = NearestName.of(optionName, in: options.map(\.name) + ["help"])
      let hint = nearest.map { "; did you mean --\($0)?" } ?? ""
      throw error("unknown option \(spelled.quotedForMessage)\(hint)")
    }
    guard option.isRepeated || result.values[option.name] == nil else {
      throw error("--\(option.name) is given twice")
    }
    guard let value = option.value else {
      guard parts.count == 1 else { throw error("--\(option.name) is a flag and takes no value") }
      result.values[option.name] = []
      return
    }
    var taken: [String] = []
    if parts.count == 2 {
      taken = [String(parts[1])]
    } else {
      while let next = rest.first, !next.hasPrefix("--"), taken.isEmpty || option.takesMany {
        taken.append(next)
        rest.removeFirst()
      }
    }
    guard !taken.isEmpty, !taken.contains("") else {
      throw error("--\(option.name) needs a value: \(value)")
    }
    result.values[option.name, default: []] += taken
  }

  /// Gives the positionals their words.
  private func assign(_ result: inout ParsedArguments) throws(UsageError) {
    var rest = result.words[...]
    for positional in positionals {
      switch positional.count {
      case .one, .optional:
        result.positionals[positional.name] = rest.popFirst().map { [$0] } ?? []
      case .any, .atLeastOne:
        result.positionals[positional.name] = Array(rest)
        rest = []
      }
      let isNeeded = positional.count == .one || positional.count == .atLeastOne
      if isNeeded, result.positionals[positional.name]?.isEmpty ?? true {
        throw UsageError(
          "\(positional.name) is missing: \(positional.help)",
          command: "\(result.program) \(name)")
      }
    }
    if let extra = rest.first {
      throw UsageError(
        "unexpected word \(extra.quotedForMessage)", command: "\(result.program) \(name)")
    }
  }

  /// The text of `--help`, at most 100 columns.
  public func help(program: String = "isogloss") -> String {
    let usage = (["\(program) \(name)"] + positionals.map(\.spelling) + ["[options]"])
      .joined(separator: " ")
    var lines = TextLayout.wrap(summary, width: TextLayout.width) + ["", "Usage: \(usage)"]
    let options = self.options + [Option("help", "Prints this text.")]
    let longest = (positionals.map(\.name) + options.map(\.spelling)).map(\.count).max() ?? 0
    let column = min(longest + 4, 36)
    if !positionals.isEmpty { lines.append("") }
    for positional in positionals {
      lines += TextLayout.row(positional.name, positional.help, indent: 2, column: column)
    }
    lines += ["", "Options:"]
    for option in options {
      let suffix = option.defaultText.map { " Default: \($0)." } ?? ""
      let again = option.isRepeated && !option.takesMany ? " May be given several times." : ""
      lines += TextLayout.row(
        option.spelling, option.help + again + suffix, indent: 2, column: column)
    }
    for note in notes { lines += [""] + TextLayout.wrap(note, width: TextLayout.width) }
    return lines.joined(separator: "\n") + "\n"
  }
}

/// What a command line said.
public struct ParsedArguments: Sendable, Equatable {
  public let command: String
  let program: String
  /// Whether `--help` or `-h` was among the words; nothing else was then required.
  public internal(set) var isHelpRequested = false
  var words: [String] = []
  var values: [String: [String]] = [:]
  var positionals: [String: [String]] = [:]

  init(command: String, program: String) {
    self.command = command
    self.program = program
  }

  /// Whether an option or flag was given.
  public func has(_ option: String) -> Bool { values[option] != nil }

  /// The value of an option that was given.
  public func value(_ option: String) -> String? { values[option]?.last }

  /// The values of a repeated option, in order.
  public func values(_ option: String) -> [String] { values[option] ?? [] }

  /// The word of a positional.
  ///
  /// - Precondition: The command has such a positional, of which one is required.
  public func positional(_ name: String) -> String {
    guard let word = positionals[name]?.first else {
      preconditionFailure("\(command) has no required positional \(name)")
    }
    return word
  }

  /// The words of a positional that may be absent or repeated, in order.
  public func positionals(_ name: String) -> [String] { positionals[name] ?? [] }

  /// The whole number of an option that was given.
  ///
  /// - Throws: ``UsageError`` if it is no whole number in `range`.
  public func integer(_ option: String, in range: ClosedRange<Int>) throws(UsageError) -> Int? {
    guard let text = value(option) else { return nil }
    guard let number = Int(text), range.contains(number) else {
      let bounds =
        range.upperBound == .max
        ? "at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
      throw UsageError(
        "--\(option) must be a whole number \(bounds), found \(text.quotedForMessage)",
        command: "\(program) \(command)")
    }
    return number
  }

  /// The value of an option that was given, one of `choices`.
  ///
  /// - Throws: ``UsageError`` with the nearest choice if it is another.
  public func choice(_ option: String, of choices: [String]) throws(UsageError) -> String? {
    guard let text = value(option) else { return nil }
    guard choices.contains(text) else {
      throw UsageError(
        "--\(option): unknown value \(text.quotedForMessage); "
          + NearestName.hint(text, in: choices), command: "\(program) \(command)")
    }
    return text
  }
}

/// A program of several commands.
public struct CommandTree: Sendable {
  /// What a whole command line asks for.
  public enum Request: Sendable {
    case run(Command, ParsedArguments)
    /// Help to print on standard output.
    case help(String)
  }

  public var name: String
  public var summary: String
  public var commands: [Command]

  /// - Precondition: Names of commands differ.
  public init(_ name: String, _ summary: String, commands: [Command]) {
    precondition(
      Set(commands.map(\.name)).count == commands.count, "\(name) has two commands of one name")
    self.name = name
    self.summary = summary
    self.commands = commands
  }

  /// Finds the command and takes its words apart. `help COMMAND` is `COMMAND --help`, and a first
  /// word that several commands share (`checkpoint`) has a help of its own.
  ///
  /// - Parameter words: Those behind the program's name.
  /// - Throws: ``UsageError`` that names the word, with the nearest command for an unknown one.
  public func parse(_ words: [String]) throws(UsageError) -> Request {
    if words.first == "help" { return try parse(Array(words.dropFirst()) + ["--help"]) }
    guard let first = words.first else {
      throw UsageError("a command is missing", command: name)
    }
    if first == "--help" || first == "-h" { return .help(help(of: commands)) }
    for count in [2, 1] where words.count >= count {
      let called = words.prefix(count).joined(separator: " ")
      guard let command = commands.first(where: { $0.name == called }) else { continue }
      let arguments = try command.parse(Array(words.dropFirst(count)), program: name)
      return arguments.isHelpRequested
        ? .help(command.help(program: name)) : .run(command, arguments)
    }
    let group = commands.filter { $0.name.hasPrefix(first + " ") }
    if group.isEmpty {
      var firsts: [String] = []
      for command in commands {
        let word = String(command.name.prefix { $0 != " " })
        if !firsts.contains(word) { firsts.append(word) }
      }
      throw UsageError(
        "unknown command \(first.quotedForMessage); \(NearestName.hint(first, in: firsts))",
        command: name)
    }
    guard words.count > 1 else {
      let names = group.map(\.name).joined(separator: ", ")
      throw UsageError("'\(first)' needs another word: \(names)", command: "\(name) \(first)")
    }
    if words[1] == "--help" || words[1] == "-h" { return .help(help(of: group)) }
    let seconds = group.map { String($0.name.dropFirst(first.count + 1)) }
    throw UsageError(
      "unknown command '\(first) \(words[1])'; \(NearestName.hint(words[1], in: seconds))",
      command: "\(name) \(first)")
  }

  private func help(of commands: [Command]) -> String {
    var lines = TextLayout.wrap(summary, width: TextLayout.width)
    lines += ["", "Usage: \(name) COMMAND …   (\(name) COMMAND --help says more)", "", "Commands:"]
    let column = min(36, (commands.map(\.name.count).max() ?? 0) + 4)
    for command in commands {
      lines += TextLayout.row(command.name, command.summary, indent: 2, column: column)
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
