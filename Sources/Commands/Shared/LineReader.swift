import Foundation

/// Lines of standard input as bytes, without their line feed, read in pieces.
struct LineReader {
  private var buffer: [UInt8] = []
  private var start = 0
  private var isAtEnd = false

  mutating func next() -> [UInt8]? {
    while true {
      if let end = buffer[start...].firstIndex(of: 0x0A) {
        defer { start = end + 1 }
        return Array(buffer[start..<end])
      }
      if isAtEnd {
        defer { start = buffer.count }
        return start < buffer.count ? Array(buffer[start...]) : nil
      }
      buffer.removeFirst(start)
      start = 0
      let more = FileHandle.standardInput.readData(ofLength: 1 << 16)
      isAtEnd = more.isEmpty
      buffer += more
    }
  }
}
