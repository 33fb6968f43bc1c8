import Foundation
import Testing
import Training

/// Event files as TensorBoard reads them: records with checksums, in each an `Event`.
@Suite struct TensorBoardTests {
  /// RFC 3720, appendix B.4, and the usual check value.
  @Test func checksumsAreThoseOfTheStandard() {
    #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xE306_9283)
    #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(CRC32C.checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(CRC32C.checksum(Array(0..<32)) == 0x46DD_794E)
  }

  @Test func recordsHoldWhatWasWritten() throws {
    let path = NSTemporaryDirectory() + "isogloss-events-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try TensorBoardEvents(path: path).write([("loss", 0.5), ("rate", 1e-3)], step: 300)
    // Opened again, as a resumed run does: no second version record.
    try TensorBoardEvents(path: path).write([("loss", 0.25)], step: 301)

    var rest = [UInt8](try Data(contentsOf: URL(filePath: path)))[...]
    var records: [[UInt8]] = []
    func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
      bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    while !rest.isEmpty {
      let length = Int(number(rest.prefix(8)))
      #expect(number(rest.dropFirst(8).prefix(4)) == UInt64(CRC32C.masked(Array(rest.prefix(8)))))
      let bytes = Array(rest.dropFirst(12).prefix(length))
      #expect(
        number(rest.dropFirst(12 + length).prefix(4)) == UInt64(CRC32C.masked(bytes)))
      records.append(bytes)
      rest = rest.dropFirst(16 + length)
    }
    // Wall time is field 1, 9 bytes; then the file's version, or the step and the summary.
    #expect(
      records.map { Array($0.dropFirst(9)) } == [
        [0x1A, 13] + Array("brain.Event:2".utf8),
        [0x10, 0xAC, 0x02, 0x2A, 26, 0x0A, 11, 0x0A, 4] + Array("loss".utf8) + [
          0x15, 0, 0, 0, 0x3F,
        ]
          + [0x0A, 11, 0x0A, 4] + Array("rate".utf8) + [0x15, 0x6F, 0x12, 0x83, 0x3A],
        [0x10, 0xAD, 0x02, 0x2A, 13, 0x0A, 11, 0x0A, 4] + Array("loss".utf8)
          + [0x15, 0, 0, 0x80, 0x3E],
      ])
  }
}
