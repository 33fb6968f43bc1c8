/// The drawn lines of all languages, in the order of languages, files and lines.
@safe final class TrainingFeed {
  private let texts: [TrainingText]
  private let draw: TrainingDraw
  /// The language, the file of it, and its open lines.
  private var (language, file) = (0, 0)
  private var lines: TrainingLines?
  private var repeats: TrainingDraw.Repeats?
  private var line: [UInt8] = []
  /// How often `line` comes still.
  private var left = 0
  /// How often lines of the language came.
  private var given = 0
  /// Where the line that was asked for last is kept.
  private let kept: UnsafeMutablePointer<UInt8>
  private(set) var failure: CorpusError?

  init(_ texts: [TrainingText], _ draw: TrainingDraw) {
    self.texts = texts
    self.draw = draw
    unsafe kept = .allocate(capacity: TrainingLines.byteLimit)
  }

  deinit { unsafe kept.deallocate() }

  /// Points `bytes` at the next line and returns its count; −1 after the last, −2 if reading failed.
  func point(_ bytes: inout UnsafePointer<UInt8>?) -> Int {
    do throws(CorpusError) {
      guard try advance() else { return -1 }
      unsafe kept.update(from: line, count: line.count)
      unsafe bytes = UnsafePointer(kept)
      return line.count
    } catch {
      failure = error
      return -2
    }
  }

  /// Goes to the next line that comes; false after the last.
  private func advance() throws(CorpusError) -> Bool {
    if left > 0 {
      left -= 1
      return true
    }
    while language < texts.count {
      let text = texts[language]
      if repeats == nil { repeats = draw.repeats(ofLanguage: language, named: text.language) }
      while draw.quotas[language] > 0, file < text.files.count {
        if lines == nil { lines = try TrainingLines(text.files[file]) }
        while let next = try lines?.next() {
          let count = repeats?.next() ?? 0
          given += count
          guard count > 0 else { continue }
          line = next
          left = count - 1
          return true
        }
        lines = nil
        file += 1
      }
      guard given == draw.quotas[language] else {
        throw CorpusError(
          .data, text.files[0], "has other lines than when they were counted; leave files alone")
      }
      (file, given, repeats) = (0, 0, nil)
      language += 1
    }
    return false
  }
}
