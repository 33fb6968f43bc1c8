/// The stages that a file lists, each once for each language and seed that it asks for: what they are called, before
/// anything else of them is read.
struct StageCells {
  /// One stage of the run to be.
  struct Cell {
    /// Of its place in the file, `stages.0`.
    var key: String
    var file: Placed<StageFile>
    var task: TaskSchema
    /// What the file calls it, braces and all.
    var written: String
    /// The same with `{seed}`, where the file leaves that to `seeds`.
    var template: String
    var name: String
    /// The language and the seed that it is made for; nil where it is made for all, or with the run's seed.
    var language: String?
    var seed: Int?
    var randomKey: Int
    /// Of a stage with a sweep, the names of its tries and the sweep as a file says it.
    var tries: [String] = []
    var sweep: String?
    /// Of a try, the name of the stage that it is one of.
    var tryOf: String?
    let folderName: String
    /// What a reference by another stage may call it: its name, or what the file calls all that were made of its entry.
    let names: Set<String>

    init(
      key: String, file: Placed<StageFile>, task: TaskSchema, written: String, template: String,
      name: String, language: String?, seed: Int?, randomKey: Int
    ) {
      self.key = key
      self.file = file
      self.task = task
      self.written = written
      self.template = template
      self.name = name
      self.language = language
      self.seed = seed
      self.randomKey = randomKey
      folderName = name.split(separator: " ").joined(separator: "-")
      let bare = written.split(separator: "{language}").joined()
        .split(separator: "{seed}").joined().trimmed
      let filled = language.map { StageCells.fill(written, "{language}", $0) } ?? written
      names = [name, written, template, bare, filled]
    }

    /// Whether a reference by another stage may mean this one.
    func isCalled(_ text: String) -> Bool { names.contains(text) }
  }

  private(set) var cells: [Cell] = []

  static let limit = 10_000

  /// - Parameters:
  ///   - languages: Those that a stage lists, checked, or nil.
  init(
    _ listed: [Placed<StageFile>], runSeeds: Placed<[Placed<Int>]>?, run: RunConfiguration,
    languages: (Placed<[Placed<String>]>?, String) throws(ConfigError) -> [String]?
  ) throws(ConfigError) {
    let runSeeds = try Self.checked(runSeeds, key: "seeds")
    var keys: [String: Int] = [:]
    var folders: [String: String] = [:]
    for (index, file) in listed.enumerated() {
      let key = "stages.\(index)"
      let each = file.value.each?.value.values ?? []
      guard let name = file.value.name else {
        throw ConfigError(file.place, "\(key).name is missing")
      }
      let task =
        try RunConfiguration.task(file.value.task, key: "\(key).task", among: run.tasks)
        ?? run.schema(named: run.task)
      let isForEachSeed = each.contains(.seed) || runSeeds != nil
      let ownSeeds = try Self.checked(file.value.seeds, key: "\(key).seeds")
      if let seeds = file.value.seeds, !isForEachSeed {
        throw ConfigError(seeds.place, "\(key).seeds: is used only with each: seed")
      }
      guard !isForEachSeed || ownSeeds != nil || runSeeds != nil else {
        throw ConfigError(
          file.value.each?.place ?? file.place,
          "\(key).each: seed needs seeds, here or in the run: seeds: [1, 2, 3]")
      }
      if each.contains(.language), !name.value.contains("{language}") {
        throw ConfigError(
          name.place,
          "\(key).name: must contain {language}, since each: language makes a stage for each")
      }
      let template =
        isForEachSeed && !name.value.contains("{seed}") ? name.value + " seed {seed}" : name.value
      let codes: [String?] =
        each.contains(.language)
        ? try languages(file.value.languages, "\(key).languages")
          ?? run.languages.filter { !task.trains || !$0.train.isEmpty }.map(\.code) : [nil]
      let seeds: [Int?] = isForEachSeed ? ownSeeds ?? runSeeds ?? [] : [nil]
      for seed in seeds {
        for code in codes {
          let filled = try Self.filled(template, code, seed, name.place, key: "\(key).name")
          let cell = "\(template)\n\(code ?? "")"
          let randomKey = keys[cell] ?? keys.count
          keys[cell] = randomKey
          guard cells.count < Self.limit else {
            throw ConfigError(file.place, "\(key): more than \(Self.limit) stages in all")
          }
          var made = Cell(
            key: key, file: file, task: task, written: name.value, template: template,
            name: filled, language: code, seed: seed,
            randomKey: randomKey)
          if let sweep = file.value.sweep {
            let tries = try Self.tries(made, sweep, key: key)
            guard cells.count + tries.count < Self.limit else {
              throw ConfigError(sweep.place, "\(key): more than \(Self.limit) stages in all")
            }
            for one in tries { try Self.check(one, name.place, &folders) }
            cells += tries
            made.tries = tries.map(\.name)
            made.sweep = sweep.value.yaml
          }
          try Self.check(made, name.place, &folders)
          cells.append(made)
        }
      }
    }
  }

  /// A stage for each combination of a sweep, with the random numbers of the stage itself.
  private static func tries(
    _ cell: Cell, _ sweep: Placed<Sweep>, key: String
  ) throws(ConfigError) -> [Cell] {
    guard cell.task.trains else {
      throw ConfigError(sweep.place, "\(key).sweep: task \(cell.task.name) trains nothing")
    }
    guard !cell.task.metrics.isEmpty else {
      throw ConfigError(
        sweep.place, "\(key).sweep: chooses by a metric, and task \(cell.task.name) has none")
    }
    guard sweep.value.count <= limit else {
      throw ConfigError(sweep.place, "\(key).sweep: more than \(limit) stages in all")
    }
    var tries: [Cell] = []
    for combination in sweep.value.combinations {
      let suffix = Sweep.name(of: combination)
      var one = Cell(
        key: cell.key,
        file: try Sweep.applied(combination, to: cell.file, task: cell.task, key: key),
        task: cell.task, written: cell.name + suffix, template: cell.template + suffix,
        name: cell.name + suffix, language: cell.language, seed: cell.seed,
        randomKey: cell.randomKey)
      one.tryOf = cell.name
      tries.append(one)
    }
    return tries
  }

  /// Each of some seeds, at least 0 and once.
  private static func checked(
    _ seeds: Placed<[Placed<Int>]>?, key: String
  ) throws(ConfigError) -> [Int]? {
    guard let seeds else { return nil }
    guard !seeds.value.isEmpty else {
      throw ConfigError(seeds.place, "\(key): at least one is needed; remove the key for one")
    }
    var values: [Int] = []
    for seed in seeds.value {
      guard seed.value >= 0 else {
        throw ConfigError(seed.place, "\(key): must be at least 0, found the number \(seed.value)")
      }
      guard !values.contains(seed.value) else {
        throw ConfigError(seed.place, "\(key): \(seed.value) is listed twice")
      }
      values.append(seed.value)
    }
    return values
  }

  static func fill(_ text: String, _ brace: String, _ value: String) -> String {
    text.split(separator: brace, omittingEmptySubsequences: false).joined(separator: value)
  }

  /// `text` with the code for `{language}` and the number for `{seed}`; other braces are errors.
  static func filled(
    _ text: String, _ language: String?, _ seed: Int?, _ place: Place, key: String
  ) throws(ConfigError) -> String {
    var result = text
    if let language { result = fill(result, "{language}", language) }
    if let seed { result = fill(result, "{seed}", "\(seed)") }
    guard !result.contains(where: { "{}".contains($0) }) else {
      for word in ["language", "seed"] where result.contains("{\(word)}") {
        throw ConfigError(
          place, "\(key): {\(word)} stands for nothing here; add each: \(word)")
      }
      throw ConfigError(place, "\(key): braces are for {language} and {seed} alone")
    }
    return result
  }

  /// What a run's own files are called, or begin with.
  private static let ownFiles = [
    "run.yaml", "metrics.jsonl", "results.json", "report.html", "estimate.json",
    "events.out.tfevents",
  ]

  /// - Parameter folders: The stages so far by their folders.
  private static func check(
    _ cell: Cell, _ place: Place, _ folders: inout [String: String]
  ) throws(ConfigError) {
    let (key, name) = (cell.key, cell.name)
    let isFolder =
      !name.contains("/") && !name.hasPrefix(".") && name == name.onOneLine
      && (1...100).contains(name.utf8.count) && name.contains { $0 != " " }
    guard isFolder else {
      throw ConfigError(
        place,
        "\(key).name: \(name.quotedForMessage) cannot be a folder's name; use 1 to 100 bytes, no /, "
          + "no control character, no . at the start")
    }
    guard !ownFiles.contains(where: cell.folderName.hasPrefix) else {
      throw ConfigError(
        place, "\(key).name: '\(name)' is the name of a file of the run; use another one")
    }
    guard let other = folders.updateValue(name, forKey: cell.folderName) else { return }
    throw ConfigError(
      place,
      "\(key).name: '\(name)' is the name of an earlier stage ('\(other)') or of "
        + "the same folder; names must differ")
  }
}

extension String {
  fileprivate var trimmed: String {
    let ends = Set<Character>(" -_.:")
    return String(drop { ends.contains($0) }.reversed().drop { ends.contains($0) }.reversed())
  }
}
