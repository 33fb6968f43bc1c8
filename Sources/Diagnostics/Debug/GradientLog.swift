import Foundation
package import Training

/// What a rank's own gradient of each step was: `gradients/rank-R.jsonl` in a stage's directory.
///
/// A line says who writes from here on; a line for each step follows. A resumed run appends: of several lines of one
/// step the last one counts.
package struct GradientLog {
  /// Who writes the lines that follow.
  package struct Header: Codable, Equatable, Sendable {
    package var rank: Int
    package var ranks: Int
    /// What bits depend on: ``NumericsID``.
    package var numerics: String
    package var threads: Int
  }

  /// A step, counted from 1. A number that was not finite is nil.
  package struct Line: Codable, Equatable, Sendable {
    package var step: Int
    /// Of the gradient's bits, over all entries.
    package var hash: String
    /// The rank's own sum of each term of the loss.
    package var losses: [Double?]
    /// Of each entry.
    package var norms: [Double?]

    package init(step: Int, hash: UInt64, losses: [Double], norms: [Double]) {
      self.step = step
      self.hash = String(hash, radix: 16)
      self.losses = losses.map { $0.isFinite ? $0 : nil }
      self.norms = norms.map { $0.isFinite ? $0 : nil }
    }
  }

  private let file: FileHandle

  package static func path(stage directory: String, rank: Int) -> String {
    "\(directory)/gradients/rank-\(rank).jsonl"
  }

  /// Opens, or goes on with, the log of a rank.
  ///
  /// - Throws: ``RunError`` of code `io`.
  package init(stage directory: String, _ header: Header) throws(RunError) {
    let path = Self.path(stage: directory, rank: header.rank)
    do {
      try FileManager.default.createDirectory(
        atPath: directory + "/gradients", withIntermediateDirectories: true)
      if !FileManager.default.fileExists(atPath: path) {
        _ = FileManager.default.createFile(atPath: path, contents: nil)
      }
      file = try FileHandle(forUpdating: URL(filePath: path))
      // A line that was cut short by the end of its run stays alone.
      let end = try file.seekToEnd()
      if end > 0 {
        try file.seek(toOffset: end - 1)
        if try file.read(upToCount: 1) != Data([0x0A]) { try file.write(contentsOf: Data([0x0A])) }
        try file.seekToEnd()
      }
    } catch {
      throw RunError(.io, "\(path) cannot be opened: \(error.localizedDescription)")
    }
    try write(header, path)
  }

  package func write(_ line: Line) throws(RunError) { try write(line, "the log of gradients") }

  private func write(_ value: some Encodable, _ name: String) throws(RunError) {
    do {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      try file.write(contentsOf: try encoder.encode(value) + Data([0x0A]))
    } catch {
      throw RunError(.io, "\(name) cannot be written: \(error.localizedDescription)")
    }
  }

  /// What a log says.
  package struct Contents: Sendable {
    /// The last line of each step, with who wrote it.
    package var lines: [Int: (header: Header, line: Line)] = [:]
    /// The steps, ascending.
    package var steps: [Int] { lines.keys.sorted() }

    /// - Throws: ``RunError`` of code `io` if it cannot be read, `data` if it holds something else.
    package init(path: String) throws(RunError) {
      guard let bytes = FileManager.default.contents(atPath: path) else {
        throw RunError(.io, "\(path) cannot be read")
      }
      let decoder = JSONDecoder()
      var header: Header?
      for text in bytes.split(separator: 0x0A) {
        if let next = try? decoder.decode(Header.self, from: text) {
          guard next.ranks >= 1, next.ranks <= 65536, (0..<next.ranks).contains(next.rank) else {
            throw RunError(.data, "\(path): rank \(next.rank) of \(next.ranks)")
          }
          header = next
        } else if let line = try? decoder.decode(Line.self, from: text), let header {
          lines[line.step] = (header, line)
        }
        // Anything else was cut short.
      }
      guard header != nil else { throw RunError(.data, "\(path) is no log of gradients") }
    }
  }
}
