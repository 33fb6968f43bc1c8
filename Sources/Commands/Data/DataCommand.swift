import Configuration
import Corpus
import Files
import Foundation
import Tokenizers
import Training

/// `isogloss data pack`: text in, shards of token ids out.
enum DataCommand {
  static let pack = Command(
    "data pack", "Encodes text files into shards of token ids, from which models are pretrained.",
    options: [
      Option(
        "input", value: "[CODE=]FILE", takesMany: true,
        "UTF-8 text, plain, gzip or Zstandard: a sentence or paragraph a line, a blank line between "
          + "documents. CODE is the language; without it, the file's name up to its first dot. The files of "
          + "one language are packed in the order given."),
      Option("tokenizer", value: "DIR|FILE", "A tokenizer, or a checkpoint that holds one."),
      Option("out", value: "DIR", "Where CODE/train and CODE/dev go."),
      Option(
        "dev-every", value: "N", default: "none",
        "Of the kept lines of a language every N-th goes to CODE/dev."),
      Option(
        "drop-duplicates",
        "Drops lines of a language that were there before, byte by byte. Needs 24 bytes of disk a line in "
          + "DIR while it goes on, 48 at times, and reads the text twice."),
      Option(
        "shard-tokens", value: "N", default: "4194304", "A shard ends with the line that fills it."),
      Option("threads", value: "N", default: "ISOGLOSS_THREADS, or all cores", "Threads."),
      Option("json", "Prints the table as JSON."),
    ],
    notes: [
      "A run that was stopped, in whatever way, goes on with the same command; a language that is complete is "
        + "left as it is. The files do not depend on the number of threads or on stops.",
      "Words are what stands between ASCII white space; pieces are the ids without those that end documents.",
    ], run: run)

  static func run(_ arguments: ParsedArguments) throws {
    func missing(_ text: String) -> UsageError {
      UsageError("--\(text)", command: "isogloss data pack")
    }
    guard arguments.has("input") else { throw missing("input is missing: the text to pack") }
    guard let path = arguments.value("tokenizer") else { throw missing("tokenizer is missing") }
    guard let out = arguments.value("out") else {
      throw missing("out is missing: where the shards go")
    }
    let languages = try languages(of: arguments.values("input"))
    let threads = try arguments.threads()
    let devEvery = try arguments.integer("dev-every", in: 2...Int.max) ?? 0
    let shardTokens = try arguments.integer("shard-tokens", in: 1...(1 << 40)) ?? 1 << 22
    let tokenizer = try TokenizerLoader.load(path)
    var report = PackingReport(threads: threads)
    var meter = PackingMeter(reporter: Terminal.reporter())
    let start = ContinuousClock.now
    for (language, files) in languages {
      let plan = PackingPlan(
        language: language, inputs: files, tokenizer: tokenizer, directory: out,
        devEvery: devEvery, dropDuplicates: arguments.has("drop-duplicates"),
        shardTokens: shardTokens, threads: threads)
      let result = try TextPacker.pack(plan) { meter.show($0) }
      meter.finish(language: language, result, directory: out)
      report.add(language, result)
    }
    report.measure(seconds: (ContinuousClock.now - start) / .seconds(1), tokens: meter.tokens)
    if arguments.has("json") {
      try JSONLine.print(report)
    } else {
      print(report.table, terminator: "")
    }
  }

  /// The files of each language, in the order in which the languages are named.
  private static func languages(
    of inputs: [String]
  ) throws -> [(language: String, files: [String])] {
    var languages: [(language: String, files: [String])] = []
    for input in inputs {
      let parts = input.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let isNamed = parts.count == 2 && !parts[0].contains("/")
      let file = isNamed ? String(parts[1]) : input
      let name = file.split(separator: "/").last ?? ""
      let code = isNamed ? String(parts[0]) : String(name.prefix { $0 != "." })
      let isCode = code.utf8.allSatisfy {
        ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || $0 == 0x2D
          || $0 == 0x5F
      }
      guard !code.isEmpty, code.utf8.count <= 64, isCode, !file.isEmpty else {
        throw UsageError(
          "--input '\(input)' names no language: write CODE=FILE with a code of letters, digits, - and _",
          command: "isogloss data pack")
      }
      if let index = languages.firstIndex(where: { $0.language == code }) {
        languages[index].files.append(file)
      } else {
        languages.append((code, [file]))
      }
    }
    return languages
  }
}

/// What was packed, as the table and JSON have it.
struct PackingReport: Encodable {
  struct Row: Encodable {
    var code: String
    var wasComplete: Bool
    var train: PackedCorpus.Counts
    var trainShards: Int
    var dev: PackedCorpus.Counts?
    var devShards: Int?
  }
  var languages: [Row] = []
  var threads: Int
  /// The tokens that this run encoded, those of earlier runs left out.
  var tokens = 0
  /// From the first byte read to the last shard written.
  var seconds = 0.0
  var tokensPerSecond = 0.0
  var peakMemoryBytes = 0

  enum CodingKeys: String, CodingKey {
    case languages, threads, tokens, seconds
    case tokensPerSecond = "tokens_per_s"
    case peakMemoryBytes = "peak_memory_bytes"
  }

  init(threads: Int) { self.threads = threads }

  mutating func add(_ language: String, _ result: PackingResult) {
    languages.append(
      Row(
        code: language, wasComplete: result.wasComplete, train: result.train.counts,
        trainShards: result.train.shards.count, dev: result.dev?.counts,
        devShards: result.dev?.shards.count))
  }

  mutating func measure(seconds: Double, tokens: Int) {
    self.seconds = seconds
    self.tokens = tokens
    tokensPerSecond = seconds > 0 ? Double(tokens) / seconds : 0
    peakMemoryBytes = Int(Measured.peakBytes)
  }

  /// Rows with a line feed each.
  var table: String {
    var rows = [
      [
        "language", "part", "lines", "documents", "words", "tokens", "pieces/word", "unknown %",
        "duplicates", "shards",
      ]
    ]
    for row in languages {
      rows.append(cells(row.code, "train", row.train, row.trainShards))
      if let dev = row.dev { rows.append(cells("", "dev", dev, row.devShards ?? 0)) }
    }
    return TextTable(rows, leftColumns: 2).text
      + "\(tokens) tokens in \(format(seconds, "%.1f")) s: \(format(tokensPerSecond, "%.0f")) tokens/s with \(threads) thread\(threads == 1 ? "" : "s"), at most \(peakMemoryBytes >> 20) MiB\n"
  }

  private func cells(
    _ code: String, _ part: String, _ counts: PackedCorpus.Counts, _ shards: Int
  ) -> [String] {
    let pieces = counts.tokens - counts.documents
    let perWord = Double(pieces) / Double(max(1, counts.words))
    let unknown = 100 * Double(counts.unknownTokens) / Double(max(1, pieces))
    return [
      code, part, "\(counts.lines)", "\(counts.documents)", "\(counts.words)", "\(counts.tokens)",
      format(perWord, "%.2f"), format(unknown, "%.3f"), "\(counts.duplicateLines)", "\(shards)",
    ]
  }

  private func format(_ number: Double, _ form: String) -> String {
    String(format: form, locale: Locale(identifier: "en_US_POSIX"), number)
  }
}

/// Tells how packing goes, every few seconds.
struct PackingMeter {
  let reporter: Reporter
  /// The tokens of all languages that this run encoded.
  private(set) var tokens = 0
  private var last = ContinuousClock.now
  private var lastBytes = 0
  private var lastLines = 0
  private var shown: PackingProgress?
  private let interval: Duration = isatty(2) == 1 ? .milliseconds(500) : .seconds(10)

  init(reporter: Reporter) { self.reporter = reporter }

  mutating func show(_ progress: PackingProgress) {
    if let shown, shown.language == progress.language, shown.phase == progress.phase {
      tokens += progress.tokens - shown.tokens
    } else {
      tokens += progress.tokens
      (lastBytes, lastLines) = (0, 0)
    }
    shown = progress
    let elapsed = ContinuousClock.now - last
    guard elapsed >= interval else { return }
    last = .now
    let seconds = elapsed / .seconds(1)
    let lines = Int(Double(progress.lines - lastLines) / seconds)
    let megabytes = Double(progress.bytes - lastBytes) / seconds / 1e6
    (lastBytes, lastLines) = (progress.bytes, progress.lines)
    let doing = progress.phase == .hashing ? "looking for duplicates" : "packing"
    reporter.progress(
      "\(progress.language): \(doing), \(Int(100 * progress.share)) %, \(lines) lines/s, \((megabytes * 10).rounded() / 10) MB/s"
    )
  }

  func finish(language: String, _ result: PackingResult, directory: String) {
    guard result.wasComplete else { return }
    reporter.line("\(directory)/\(language): complete already, left as it is")
  }
}
