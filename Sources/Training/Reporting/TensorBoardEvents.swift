import Foundation

/// Scalars in TensorBoard's event files: records of TensorFlow's `TFRecord` form that hold an `Event`.
///
/// A record is its length (8 bytes), the length's masked CRC-32C, the bytes, and their masked CRC-32C. Of
/// `Event` (tensorflow/core/util/event.proto) only wall time, step, file version and simple values are
/// written.
package struct TensorBoardEvents {
  private let file: FileHandle

  /// Opens the event file of a run, after what is there already.
  package init(path: String) throws {
    let isNew = !FileManager.default.fileExists(atPath: path)
    if isNew { _ = FileManager.default.createFile(atPath: path, contents: nil) }
    file = try FileHandle(forWritingTo: URL(filePath: path))
    try file.seekToEnd()
    if isNew {
      var event = ProtocolBuffer()
      event.add(double: Date().timeIntervalSince1970, field: 1)
      event.add(text: "brain.Event:2", field: 3)
      try write(event.bytes)
    }
  }

  /// Writes scalars of one step.
  package func write(_ scalars: [(tag: String, value: Double)], step: Int) throws {
    var summary = ProtocolBuffer()
    for (tag, value) in scalars {
      var entry = ProtocolBuffer()
      entry.add(text: tag, field: 1)
      entry.add(float: Float(value), field: 2)
      summary.add(bytes: entry.bytes, field: 1)
    }
    var event = ProtocolBuffer()
    event.add(double: Date().timeIntervalSince1970, field: 1)
    event.add(integer: UInt64(max(0, step)), field: 2)
    event.add(bytes: summary.bytes, field: 5)
    try write(event.bytes)
  }

  private func write(_ bytes: [UInt8]) throws {
    let length = littleEndian(UInt64(bytes.count))
    var record = length
    record += littleEndian(CRC32C.masked(length))
    record += bytes
    record += littleEndian(CRC32C.masked(bytes))
    try file.write(contentsOf: Data(record))
  }
}

/// The few wire forms of protocol buffers that an event needs.
private struct ProtocolBuffer {
  private(set) var bytes: [UInt8] = []

  mutating func add(integer: UInt64, field: Int) {
    add(key: field, wire: 0)
    add(variable: integer)
  }

  mutating func add(double: Double, field: Int) {
    add(key: field, wire: 1)
    bytes += littleEndian(double.bitPattern)
  }

  mutating func add(float: Float, field: Int) {
    add(key: field, wire: 5)
    bytes += littleEndian(float.bitPattern)
  }

  mutating func add(text: String, field: Int) { add(bytes: Array(text.utf8), field: field) }

  mutating func add(bytes content: [UInt8], field: Int) {
    add(key: field, wire: 2)
    add(variable: UInt64(content.count))
    bytes += content
  }

  private mutating func add(key field: Int, wire: Int) {
    add(variable: UInt64(field << 3 | wire))
  }

  private mutating func add(variable: UInt64) {
    var rest = variable
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

private func littleEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
  stride(from: 0, to: Number.bitWidth, by: 8).map { UInt8(truncatingIfNeeded: number >> $0) }
}

/// CRC-32 with the polynomial of Castagnoli (RFC 3720, appendix B.4).
package enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
  }

  package static func checksum(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(~0) { crc, byte in
      table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ crc >> 8
    }
  }

  /// The checksum as a record stores it: turned right by 15 bits, plus a constant.
  package static func masked(_ bytes: [UInt8]) -> UInt32 {
    let crc = checksum(bytes)
    return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
  }
}
