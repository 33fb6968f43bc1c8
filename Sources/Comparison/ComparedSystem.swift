public import Corpus
public import Files
import Foundation

/// A system as its predictions show it: counts per sentence, by language and seed.
public struct ComparedSystem: Sendable {
  /// The predictions of one language by the model of one seed.
  public struct Run: Sendable {
    public var path: String
    public var counts: SentenceCounts
  }

  public var name: String
  /// In the order of their paths.
  public var runs: [Run]

  /// A file of tags alone, which says nothing of its language but its name.
  private var isOfTags: Bool {
    runs.count == 1 && runs[0].counts.origin.trained.isEmpty
      && runs[0].counts.origin.seed == nil
  }

  /// The system in the other's language, if each has one language and at least one of the two is a bare file of tags, whose
  /// language is only the beginning of its name.
  func inLanguage(of other: ComparedSystem) -> ComparedSystem {
    guard isOfTags || other.isOfTags, languages.count == 1, other.languages.count == 1 else {
      return self
    }
    var system = self
    for place in runs.indices {
      system.runs[place].counts.origin.language = other.languages[0]
    }
    return system
  }

  /// The languages that it has predictions of by one model a seed, in the order of their codes.
  public var languages: [String] {
    Set(runs.map(\.counts.origin.language)).filter { !isAmbiguous($0) }.sorted()
  }

  /// The languages that several models of one seed have predictions of, none or more than one of them trained on it: a stage
  /// must be named.
  public var ambiguousLanguages: [String] {
    Set(runs.map(\.counts.origin.language)).filter(isAmbiguous).sorted()
  }

  /// The runs of a language by seed: those of models that were trained on it, or else of models that were not.
  public func runs(of language: String) -> [Run] {
    let all = runs.filter { $0.counts.origin.language == language }
    let trained = all.filter { $0.counts.origin.trained.contains(language) }
    return (trained.isEmpty ? all : trained).sorted {
      ($0.counts.origin.seed ?? 0) < ($1.counts.origin.seed ?? 0)
    }
  }

  /// The runs of one of its stages, named without the seed: those of several seeds.
  private func stage(_ name: String) -> ComparedSystem? {
    let own = runs.filter { run in
      let origin = run.counts.origin
      return origin.stage == name
        || origin.seed.map { origin.stage == "\(name) seed \($0)" } ?? false
    }
    return own.isEmpty ? nil : ComparedSystem(name: name, runs: own)
  }

  private func isAmbiguous(_ language: String) -> Bool {
    let runs = runs(of: language)
    return Set(runs.map(\.counts.origin.seed)).count < runs.count
  }

  /// The systems of what a command line names: a run, a stage, a folder of predictions or of counts, `RUN/SYSTEM`, `RUN/STAGE`
  /// without the seed, or a file.
  ///
  /// - Parameters:
  ///   - path: A directory is looked through three folders deep.
  ///   - part: `dev` or `test`.
  /// - Throws: ``FileError`` where there is nothing, or a file is not what it should be.
  public static func read(_ path: String, part: String) throws(FileError) -> [ComparedSystem] {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    var isDirectory: ObjCBool = false
    if unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) {
      guard isDirectory.boolValue else {
        return [ComparedSystem(name: path, runs: [try run(path, part: part)])]
      }
      var systems = try systems(in: path, part: part)
      // A try is seen only where nothing else is: where it is named itself.
      if systems.isEmpty { systems = try self.systems(in: path, part: part, keepsTries: true) }
      if systems.isEmpty {
        throw FileError(
          .missing, path,
          "holds no predictions of \(part) (LANG.\(part).counts.tsv); runs of earlier versions, those with save_predictions: false or without files of \(part) and tasks that label no words have none"
        )
      }
      return systems
    }
    // The name of a system of a run, which may stand for many stages. Nothing else is looked through for a name.
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    let parent = parts.count > 1 ? parts.dropLast().joined(separator: "/") : "."
    let isRun = ["results.json", "run.yaml"].contains {
      FileManager.default.fileExists(atPath: parent + "/" + $0)
    }
    let known = isRun ? try systems(in: parent, part: part, keepsTries: true) : []
    if let name = parts.last, let system = known.first(where: { $0.name == name }) {
      return [system]
    }
    guard let name = parts.last.map(String.init),
      let system = known.lazy.compactMap({ $0.stage(name) }).first
    else {
      let names = known.map(\.name).joined(separator: ", ")
      throw FileError(
        .missing, path,
        "there is no such file, directory, system or stage"
          + (names.isEmpty
            ? isRun ? "; \(parent) keeps no predictions of the part \(part)" : ""
            : "; the systems of \(parent): \(names)"))
    }
    return [system]
  }

  private static func systems(
    in directory: String, part: String, keepsTries: Bool = false
  ) throws(FileError) -> [ComparedSystem] {
    var systems: [ComparedSystem] = []
    for path in files(in: directory, part: part, depth: 3) {
      let run = try run(path, part: part)
      if run.counts.origin.isTry, !keepsTries { continue }
      let name = run.counts.origin.system
      if let index = systems.firstIndex(where: { $0.name == name }) {
        systems[index].runs.append(run)
      } else {
        systems.append(ComparedSystem(name: name, runs: [run]))
      }
    }
    let order = try order(in: directory)
    func place(_ system: ComparedSystem) -> Int { order.firstIndex(of: system.name) ?? order.count }
    // The sort is stable: what the run does not name stays in the order of paths, behind the others.
    return systems.sorted { place($0) < place($1) }
  }

  /// The systems of a run in the order of its stages; nothing where no run says it.
  private static func order(in directory: String) throws(FileError) -> [String] {
    let path = directory + "/results.json"
    guard FileManager.default.fileExists(atPath: path) else { return [] }
    let results = try JSONValue(parsing: try WholeFile.read(path, limit: 256 << 20), path: path)
    return (results["stages"]?.array ?? []).compactMap { $0["system"]?.string }
  }

  /// Files of counts, and of tags where nobody has counted them, in order.
  private static func files(in directory: String, part: String, depth: Int) -> [String] {
    guard
      let names = try? FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    else { return [] }
    var found: [String] = []
    for name in names where !name.hasPrefix(".") {
      let path = directory + "/" + name
      var information = stat()
      guard unsafe stat(path, &information) == 0 else { continue }
      if information.st_mode & S_IFMT == S_IFDIR {
        if depth > 0 { found += files(in: path, part: part, depth: depth - 1) }
      } else if information.st_mode & S_IFMT != S_IFREG {
        continue
      } else if isCounts(name), name.contains(".\(part).") {
        // Of a file and its compressed copies one is enough.
        if !found.contains(where: { path.hasPrefix($0) }) { found.append(path) }
      } else if name.hasSuffix(".\(part).conll") {
        let stem = String(name.dropLast(".conll".count))
        if !names.contains(where: { $0.hasPrefix(stem + ".counts.tsv") }) { found.append(path) }
      }
    }
    return found
  }

  private static func isCounts(_ name: String) -> Bool {
    [".counts.tsv", ".counts.tsv.zst", ".counts.tsv.gz"].contains { name.hasSuffix($0) }
  }

  private static func run(_ path: String, part: String) throws(FileError) -> Run {
    let name = String(path.split(separator: "/").last ?? "")
    if isCounts(name) {
      let counts = try SentenceCounts(reading: path)
      guard counts.origin.part == part else {
        throw FileError(
          .data, path, "is of \(counts.origin.part), not of \(part); choose it with --part")
      }
      return Run(path: path, counts: counts)
    }
    return Run(
      path: path,
      counts: try SentenceCounts(
        tagged: path,
        origin: .init(
          system: path, stage: path, seed: nil,
          language: String(name.prefix { $0 != "." }), part: part, trained: [])))
  }
}
