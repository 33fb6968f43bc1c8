/// How stages name earlier ones: `init: polyglot`, `teachers: [tagger@all]`, `train: [stage:labelled]`.
struct StageReferences {
  let cells: [StageCells.Cell]
  let folder: String

  private static let all = "@all"

  /// The stage or the directory that `init` names.
  func start(of index: Int, _ given: Placed<String>) throws(ConfigError) -> Stage.Start {
    let cell = cells[index]
    let key = "\(cell.key).init"
    if given.value.hasSuffix(Self.all) {
      throw ConfigError(given.place, "\(key): begins with one stage; \(Self.all) is for teachers")
    }
    return try sources(of: index, given, key: key)[0]
  }

  /// The stages and directories that `teachers` names.
  func teachers(
    of index: Int, _ listed: Placed<[Placed<String>]>
  ) throws(ConfigError) -> [Stage.Start] {
    let key = "\(cells[index].key).teachers"
    try check(index, .teachers, listed.place, key: key)
    var found: [Stage.Start] = []
    for given in listed.value { found += try sources(of: index, given, key: key) }
    return found
  }

  /// The stages whose corpora `train` names, and the files that it names.
  func training(
    of index: Int, _ listed: Placed<[Placed<String>]>, languages: [String]
  ) throws(ConfigError) -> (stages: [String], files: [String]) {
    let key = "\(cells[index].key).train"
    try check(index, .train, listed.place, key: key)
    guard !listed.value.isEmpty else {
      throw ConfigError(
        listed.place, "\(key): at least one is needed; remove the key for those of languages")
    }
    var stages: [String] = []
    var files: [String] = []
    for given in listed.value {
      guard given.value.hasPrefix("stage:") else {
        if !given.value.contains("/"),
          cells.contains(where: { $0.isCalled(Self.name(given.value)) })
        {
          throw ConfigError(
            given.place,
            "\(key): \(given.value.quotedForMessage) is a stage: write stage:\(given.value), or ./\(given.value) for a file"
          )
        }
        guard languages.count == 1 else {
          throw ConfigError(
            given.place,
            "\(key): files are for a stage of one language, and this one has \(languages.count); a corpus of an "
              + "earlier stage is written stage:NAME")
        }
        let path = RunConfiguration.joined(folder, given.value)
        guard !files.contains(path) else {
          throw ConfigError(given.place, "\(key): \(given.value.quotedForMessage) is listed twice")
        }
        files.append(path)
        continue
      }
      let name = Placed(value: String(given.value.dropFirst("stage:".count)), place: given.place)
      for cell in try resolved(index, name, makes: .corpus, key: key) {
        guard !stages.contains(cell.name) else {
          throw ConfigError(given.place, "\(key): stage '\(cell.name)' is listed twice")
        }
        stages.append(cell.name)
      }
    }
    return (stages, files)
  }

  private func check(
    _ index: Int, _ input: TaskSchema.Input, _ place: Place, key: String
  ) throws(ConfigError) {
    let task = cells[index].task
    guard !task.takes.contains(input) else { return }
    throw ConfigError(place, "\(key): task \(task.name) takes no \(input.rawValue)")
  }

  private func sources(
    of index: Int, _ given: Placed<String>, key: String
  ) throws(ConfigError) -> [Stage.Start] {
    let isStage = cells.contains { $0.isCalled(Self.name(given.value)) }
    if !isStage, given.value.contains("/") {
      return [.checkpoint(directory: RunConfiguration.joined(folder, given.value))]
    }
    return try resolved(index, given, makes: .model, key: key).map { .stage(name: $0.name) }
  }

  private static func name(_ text: String) -> String {
    text.hasSuffix(all) ? String(text.dropLast(all.count)) : text
  }

  /// The earlier stages that a name means: that of the same language and seed, or with `@all` all of them.
  private func resolved(
    _ index: Int, _ given: Placed<String>, makes artifact: Artifact, key: String
  ) throws(ConfigError) -> [StageCells.Cell] {
    let cell = cells[index]
    let wantsAll = given.value.hasSuffix(Self.all)
    var name = Self.name(given.value)
    if let language = cell.language { name = StageCells.fill(name, "{language}", language) }
    if let seed = cell.seed { name = StageCells.fill(name, "{seed}", "\(seed)") }
    if !cells.contains(where: { $0.isCalled(name) }) {
      // What braces are left stands for nothing.
      _ = try StageCells.filled(name, nil, nil, given.place, key: key)
    }
    func matches(_ other: StageCells.Cell) -> Bool {
      other.isCalled(name)
        && (wantsAll || other.name == name
          || ((other.language == nil || cell.language == nil || other.language == cell.language)
            && (other.seed == nil || cell.seed == nil || other.seed == cell.seed)))
    }
    let exact = cells[..<index].filter { $0.name == name }
    let found = !wantsAll && !exact.isEmpty ? exact : cells[..<index].filter(matches)
    guard let first = found.first else { throw missing(index, given, name, key: key) }
    guard wantsAll || found.count == 1 else {
      throw ConfigError(
        given.place,
        "\(key): \(name.quotedForMessage) is \(found.count) stages ('\(first.name)', '\(found[1].name)'…); name one"
          + (key.hasSuffix(".init") ? "" : ", or all with \(name)\(Self.all)"))
    }
    if let other = found.first(where: { !$0.task.makes.contains(artifact) }) {
      let kinds = other.task.makes.map(\.words).sorted().joined(separator: " and ")
      throw ConfigError(
        given.place,
        "\(key): stage '\(other.name)' makes \(kinds), and \(artifact.words) is needed")
    }
    return Array(found)
  }

  private func missing(
    _ index: Int, _ given: Placed<String>, _ name: String, key: String
  ) -> ConfigError {
    let cell = cells[index]
    if cell.isCalled(name) || cell.isCalled(given.value) {
      return ConfigError(
        given.place,
        "\(key): \(name.quotedForMessage) is no earlier stage; a stage cannot start from itself")
    }
    if let later = cells.indices.first(where: { $0 > index && cells[$0].isCalled(name) }) {
      var seen: Set<Int> = []
      if let circle = path(from: later, to: index, &seen) {
        let names = ([index] + circle).map { "'\(cells[$0].name)'" }.joined(separator: " needs ")
        return ConfigError(given.place, "\(key): a circle of stages: \(names)")
      }
      return ConfigError(
        given.place,
        "\(key): stage '\(cells[later].name)' comes later; list it before '\(cell.name)'")
    }
    let earlier = cells[..<index].map(\.name)
    let hint =
      earlier.isEmpty ? "there is no earlier stage" : NearestName.hint(name, in: Array(earlier))
    let path =
      key.hasSuffix(".train")
      ? "" : " (a checkpoint directory is written with a /, such as ./\(given.value))"
    return ConfigError(
      given.place, "\(key): \(name.quotedForMessage) is no earlier stage; \(hint)\(path)")
  }

  /// The stages by which one needs another, both included; nil if it does not.
  private func path(from index: Int, to target: Int, _ seen: inout Set<Int>) -> [Int]? {
    if index == target { return [index] }
    guard seen.insert(index).inserted else { return nil }
    let file = cells[index].file.value
    let names =
      [file.start?.value].compactMap(\.self)
      + (file.teachers?.value.map { Self.name($0.value) } ?? [])
      + (file.train?.value.compactMap {
        $0.value.hasPrefix("stage:") ? Self.name(String($0.value.dropFirst(6))) : nil
      } ?? [])
    for other in cells.indices where names.contains(where: { cells[other].isCalled($0) }) {
      if let rest = path(from: other, to: target, &seen) { return [index] + rest }
    }
    return nil
  }
}
