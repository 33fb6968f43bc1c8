import Determinism
import Files
import Glibc

/// The text of one language for the training of a tokenizer.
public struct TrainingText: Sendable, Equatable {
  /// The language's code, such as `en`.
  public var language: String
  /// UTF-8, plain, gzip or Zstandard, a sentence or paragraph a line; blank lines count for nothing.
  public var files: [String]

  public init(language: String, files: [String]) {
    self.language = language
    self.files = files
  }

  /// What counting the lines of a language finds.
  struct Size: Equatable {
    var lines = 0
    var bytes = 0
  }

  /// Counts the lines that are not blank, and their bytes.
  func size() throws(FileError) -> Size {
    var size = Size()
    try forEachLine { line in
      size.lines += 1
      size.bytes += line.count
    }
    return size
  }

  /// Gives every line to `body`, in the order of the files and lines.
  func forEachLine(_ body: ([UInt8]) throws(FileError) -> Void) throws(FileError) {
    for file in files {
      var lines = try TrainingLines(file)
      while let line = try lines.next() { try body(line) }
    }
  }
}

/// Which lines of each language train a tokenizer.
///
/// Of N lines in all, a language with nₗ lines gets qₗ by largest remainder from shares in proportion to nₗ^α. It gives
/// each line ⌊qₗ / nₗ⌋ times and a random choice of the lines once more. With α = 1 and N of all lines each comes once.
package struct TrainingDraw: Sendable, Equatable {
  package let seed: UInt64
  /// nₗ
  package let lineCounts: [Int]
  /// qₗ
  package let quotas: [Int]

  /// - Parameters:
  ///   - lineCounts: The lines of each language.
  ///   - limit: N, unless there are fewer lines.
  ///   - alpha: The exponent α: 1 is natural, 0 gives every language the same.
  /// - Precondition: There is a line, `limit` is positive, and `alpha` finite and at least 0.
  package init(seed: UInt64, lineCounts: [Int], limit: Int, alpha: Double) {
    let all = lineCounts.reduce(0, +)
    precondition(all > 0 && lineCounts.allSatisfy { $0 >= 0 }, "no lines in \(lineCounts)")
    precondition(limit > 0 && alpha.isFinite && alpha >= 0, "\(limit) lines, exponent \(alpha)")
    self.seed = seed
    self.lineCounts = lineCounts
    if alpha == 1, limit >= all {
      quotas = lineCounts
    } else {
      // Relative to the largest language, so that no power overflows.
      let largest = Double(lineCounts.max() ?? 1)
      quotas = Apportionment.parts(
        of: min(limit, all),
        by: lineCounts.map { $0 == 0 ? 0 : pow(Double($0) / largest, alpha) })
    }
  }

  /// How often each line of a language comes, in the order of the lines.
  package func repeats(ofLanguage index: Int, named language: String) -> Repeats {
    Repeats(
      random: RandomStream(seed: seed, "tokenizer", .text(language)), lines: lineCounts[index],
      quota: quotas[index])
  }

  /// Selection sampling: each choice of lines is equally likely, and nothing is kept of the lines.
  package struct Repeats {
    private var random: RandomStream
    private let whole: Int
    private var missing: Int
    private var left: Int

    fileprivate init(random: RandomStream, lines: Int, quota: Int) {
      self.random = random
      (whole, missing) = lines == 0 ? (0, 0) : quota.quotientAndRemainder(dividingBy: lines)
      left = lines
    }

    /// How often the next line comes; 0 behind the last.
    package mutating func next() -> Int {
      guard left > 0 else { return 0 }
      let isChosen = random.below(left) < missing
      left -= 1
      if isChosen { missing -= 1 }
      return whole + (isChosen ? 1 : 0)
    }
  }
}
