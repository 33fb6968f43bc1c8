public import Files
import Foundation

/// `README.md` of a checkpoint: what the Hub reads of it, and tables for people, made of the facts of its manifest.
///
/// What stands between the two marks, and the keys of the front matter that are made here, are written anew; all other text
/// and keys belong to those who edit the file, and stay.
public struct ModelCard: Sendable {
  public static let fileName = "README.md"
  private static let begin =
    "<!-- isogloss: made from the manifest; edits up to the end mark are lost -->"
  private static let end = "<!-- isogloss: end -->"
  private static let byteLimit = 1 << 20

  private let name: String
  private let facts: JSONValue

  /// - Parameters:
  ///   - name: The model's name, as a rule that of its directory.
  ///   - facts: Those of its manifest.
  public init(name: String, facts: JSONValue) {
    self.name = name
    self.facts = facts
  }

  /// The text of the card that stands in `directory`; nil if there is none.
  public static func text(in directory: String) throws(FileError) -> String? {
    let path = directory + "/" + fileName
    guard FileKind.of(path) == .file else { return nil }
    return String(decoding: try WholeFile.read(path, limit: byteLimit), as: UTF8.self)
  }

  /// The card, with what people wrote into an older one.
  ///
  /// - Parameter licence: A licence by the Hub's name for it, such as `apache-2.0`; nil for what the older card says.
  public func text(over old: String? = nil, licence: String? = nil) -> String {
    let old = Old(old ?? "")
    var matter = frontMatter
    if let licence { matter.append(("license", quoted(licence))) }
    let kept = old.matter.filter { entry in !matter.contains { $0.key == entry.key } }
    let lines = (matter + kept).map { key, value in
      value.isEmpty || value.hasPrefix("\n") ? "\(key):\(value)" : "\(key): \(value)"
    }
    let front = "---\n" + lines.joined(separator: "\n") + "\n---\n"
    let generated = Self.begin + "\n\n" + body + "\n" + Self.end + "\n"
    if let (before, after) = old.edited { return front + before + generated + after }
    // A card by other hands stays whole, with the facts behind it.
    if !old.body.allSatisfy(\.isWhitespace) {
      return front + old.body + (old.body.hasSuffix("\n") ? "\n" : "\n\n") + generated
    }
    return front + "\n# \(plain(name))\n\n" + generated + "\n" + Self.invitation
  }

  /// What only people can say.
  private static let invitation = """
    ## Intended use

    Not described yet.

    ## Limits and biases

    Not described yet.

    """

  // MARK: Front matter

  /// The Hub's name for what the model does; nil of a model that `transformers` does not load. Manifests of earlier versions
  /// do not say it.
  private var task: String? {
    if let card = facts["card"] { return card["pipeline_tag"]?.string }
    return facts["labels"] == nil ? "fill-mask" : facts["config"]?["task"]?.string
  }

  /// What the model is, with its article.
  private var kind: String {
    facts["card"]?["model"]?.string
      ?? (facts["labels"] == nil ? "A masked language model" : "A token classifier")
  }
  /// The languages that it was trained on; earlier versions named all of the run.
  private var codes: [String] {
    (facts["trained_languages"] ?? facts["languages"])?.array?.compactMap(\.string) ?? []
  }
  private var scores: [JSONValue] { facts["scores"]?.array ?? [] }

  private var frontMatter: [(key: String, value: String)] {
    var keys: [(String, String)] = []
    if !codes.isEmpty { keys.append(("language", list(codes))) }
    keys.append(("library_name", task == nil ? "isogloss" : "transformers"))
    if let task { keys.append(("pipeline_tag", task)) }
    keys.append(("tags", list(["isogloss"] + (task.map { [$0] } ?? []))))
    if let parent = CheckpointLineage(facts: facts).ancestors.first {
      keys.append(("base_model", quoted(parent.name)))
    }
    if !results.isEmpty {
      keys.append(
        (
          "model-index",
          "\n- name: \(quoted(name))\n  results:\n" + results.joined(separator: "\n")
        ))
    }
    return keys
  }

  /// An entry for each split and language, as the Hub's `model-index` has them.
  private var results: [String] {
    scores.compactMap { score in
      guard let split = score["split"]?.string, let language = score["language"]?.string else {
        return nil
      }
      let metrics = self.metrics.compactMap { key, type, title in
        score[key]?.double.map {
          "    - type: \(type)\n      value: \($0)\n      name: \(quoted(title))"
        }
      }
      if metrics.isEmpty { return nil }
      return """
          - task:
              type: \(task ?? "other")
            dataset:
              type: \(quoted(dataset(language, split)))
              name: \(quoted(dataset(language, split)))
              config: \(quoted(language))
              split: \(quoted(split))
            metrics:
        \(metrics.joined(separator: "\n"))
        """
    }
  }

  /// What tables show: what this program's users know, and the metric by which the model was chosen.
  private var metrics: [(key: String, type: String, title: String)] {
    guard let key = facts["card"]?["score"]?.string,
      !Self.knownMetrics.contains(where: { $0.key == key })
    else { return Self.knownMetrics }
    return Self.knownMetrics + [(key, key, facts["card"]?["title"]?.string ?? key)]
  }

  private static let knownMetrics: [(key: String, type: String, title: String)] = [
    ("overall_f1", "f1", "F1 (micro, exact spans)"),
    ("overall_precision", "precision", "Precision"), ("overall_recall", "recall", "Recall"),
    ("loss", "loss", "Cross-entropy of masked tokens"), ("perplexity", "perplexity", "Perplexity"),
  ]

  /// The names of the files of a language's split.
  private func dataset(_ language: String, _ split: String) -> String {
    let files = facts["data"]?[language]?[split]?["files"]?.array ?? []
    let names = files.compactMap { $0["name"]?.string }
    return names.isEmpty ? "\(language) \(split)" : names.joined(separator: ", ")
  }

  // MARK: Body

  private var body: String {
    var parts: [String] = []
    let languages = codes.isEmpty ? "" : " in \(codes.map(plain).joined(separator: ", "))"
    parts.append(
      "\(plain(kind))\(languages), trained with Isogloss.")
    if let table = scoreTable { parts.append("## Scores\n\n" + table) }
    if let table = dataTable { parts.append("## Training data\n\n" + table) }
    if let text = training { parts.append("## How it was trained\n\n" + text) }
    let lineage = CheckpointLineage(facts: facts)
    if !lineage.parents.isEmpty {
      // Nothing in it may end the block, or look like a mark.
      let text = lineage.text(of: name).map { "<>`".contains($0) ? "'" : String($0) }.joined()
      parts.append("## Where it comes from\n\n```\n\(text)\n```")
    }
    return parts.joined(separator: "\n\n") + "\n"
  }

  private var scoreTable: String? {
    let columns = metrics.filter { metric in
      scores.contains { $0[metric.key]?.double != nil }
    }
    if columns.isEmpty { return nil }
    var lines = [row(["Language", "Split"] + columns.map(\.title))]
    lines.append("|" + String(repeating: " --- |", count: columns.count + 2))
    for score in scores {
      let values = columns.map { metric in
        score[metric.key]?.double.map { value in
          // As papers print them: shares in percent with two places, all else with three.
          metric.key.hasPrefix("overall_") ? fixed(value * 100, 2) : fixed(value, 3)
        } ?? ""
      }
      let language = score["language"]?.string ?? ""
      let isZeroShot = facts["trained_languages"] != nil && !codes.contains(language)
      let names = [
        plain(language) + (isZeroShot ? " (not trained on)" : ""),
        plain(score["split"]?.string ?? ""),
      ]
      lines.append(row(names + values))
    }
    return lines.joined(separator: "\n")
  }

  private var dataTable: String? {
    guard let languages = facts["data"]?.object?.members, !languages.isEmpty else { return nil }
    let counts = ["sentences", "words", "tokens"]
    var lines = [row(["Language", "Split", "Files"] + counts)]
    lines.append("|" + String(repeating: " --- |", count: counts.count + 3))
    for language in languages {
      for split in language.value.object?.members ?? [] {
        lines.append(
          row(
            [plain(language.name), plain(split.name), plain(dataset(language.name, split.name))]
              + counts.map { split.value[$0]?.int.map { String($0) } ?? "" }))
      }
    }
    return lines.joined(separator: "\n")
  }

  private var training: String? {
    var lines: [String] = []
    func add(_ title: String, _ value: JSONValue?) {
      guard let value, value != .null else { return }
      lines.append("- \(title): \(plain(value.string ?? value.compactText))")
    }
    add("stage", facts["stage"])
    add("head", facts["head"])
    let stages = facts["config"]?["stages"]?.array ?? []
    let stage = stages.first { $0["name"] == facts["stage"] }?["training"]
    for (title, key) in [
      ("learning rate", "learning_rate"), ("schedule", "lr_scheduler_type"),
      ("weight decay", "weight_decay"), ("duration", "duration"), ("step", "step_size"),
      ("sampling alpha", "sampling_alpha"),
    ] {
      add(title, stage?[key])
    }
    for (title, key) in [
      ("precision", "precision"), ("kernels", "kernels"), ("seed", "seed"),
      ("weight hash", "weight_hash"), ("merge", "merge"),
    ] {
      add(title, facts[key])
    }
    return lines.isEmpty ? nil : lines.joined(separator: "\n")
  }

  // MARK: Text

  private func row(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }

  private func list(_ texts: [String]) -> String {
    "[" + texts.map(quoted).joined(separator: ", ") + "]"
  }

  /// A string of YAML, which takes those of JSON, without anything that cannot be seen.
  private func quoted(_ text: String) -> String {
    JSONValue.string(printable(text, limit: 400)).compactText
  }

  /// Text in which nothing means anything to Markdown or HTML.
  private func plain(_ text: String) -> String {
    var plain = ""
    for scalar in printable(text, limit: 400).unicodeScalars {
      switch scalar {
      case "<": plain += "&lt;"
      case "&": plain += "&amp;"
      case "\\", "`", "*", "_", "[", "]", "!", "|", "~", "#":
        plain += "\\"
        plain.unicodeScalars.append(scalar)
      default: plain.unicodeScalars.append(scalar)
      }
    }
    return plain
  }

  private func fixed(_ value: Double, _ places: Int) -> String {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    guard value.magnitude < 1e15 else { return "\(value)" }
    let whole = Int((value.magnitude * scale).rounded())
    let digits = String(whole % Int(scale))
    let sign = value < 0 && whole > 0 ? "-" : ""
    return sign + "\(whole / Int(scale))."
      + String(repeating: "0", count: places - digits.count) + digits
  }
}

/// A card that people may have edited.
private struct Old {
  /// The keys of the front matter with all their lines.
  var matter: [(key: String, value: String)] = []
  /// What stands before and behind the marks; nil if the marks are not there.
  var edited: (before: String, after: String)?
  /// All that is behind the front matter.
  var body = ""

  init(_ crude: String) {
    let text = crude.replacingOccurrences(of: "\r\n", with: "\n")
    var rest = text[...]
    defer { body = String(rest) }
    if rest.hasPrefix("---\n"), let end = rest.dropFirst(4).firstRange(of: "\n---\n") {
      for line in rest[rest.index(rest.startIndex, offsetBy: 4)..<end.lowerBound].split(
        separator: "\n", omittingEmptySubsequences: false)
      {
        if let first = line.first, !" -\t#".contains(first), let colon = line.firstIndex(of: ":") {
          let value = line[line.index(after: colon)...].drop { $0 == " " }
          matter.append((String(line[..<colon]), String(value)))
        } else if !matter.isEmpty {
          matter[matter.count - 1].value += "\n" + line
        }
      }
      rest = rest[end.upperBound...]
    }
    guard let begin = rest.firstRange(of: "<!-- isogloss: made"),
      let end = rest[begin.upperBound...].ranges(of: "<!-- isogloss: end -->").last
    else { return }
    edited = (
      String(rest[..<begin.lowerBound]),
      String(
        rest[end.upperBound...].hasPrefix("\n")
          ? rest[end.upperBound...].dropFirst() : rest[end.upperBound...])
    )
  }
}
