import CZlib
import CZstd
import Corpus
import Foundation
import Testing

/// A gzip member of `bytes`.
private func gzip(_ bytes: [UInt8]) -> [UInt8] {
  var stream = unsafe z_stream()
  let begun = unsafe deflateInit2_(
    &stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
    Int32(MemoryLayout<z_stream>.size))
  precondition(begun == Z_OK)
  defer { unsafe deflateEnd(&stream) }
  var input = bytes
  var packed = [UInt8](repeating: 0, count: bytes.count + 1000)
  return unsafe input.withUnsafeMutableBufferPointer { input in
    let count = unsafe packed.withUnsafeMutableBufferPointer { packed in
      unsafe stream.next_in = input.baseAddress
      unsafe stream.avail_in = UInt32(input.count)
      unsafe stream.next_out = packed.baseAddress
      unsafe stream.avail_out = UInt32(packed.count)
      let status = unsafe deflate(&stream, Z_FINISH)
      precondition(status == Z_STREAM_END)
      return unsafe packed.count - Int(stream.avail_out)
    }
    return Array(packed[..<count])
  }
}

/// A Zstandard frame of `bytes`.
private func zstd(_ bytes: [UInt8]) -> [UInt8] {
  var packed = [UInt8](repeating: 0, count: bytes.count + 1000)
  let context = unsafe ZSTD_createCCtx()
  defer { unsafe _ = ZSTD_freeCCtx(context) }
  unsafe _ = ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
  let capacity = packed.count
  let count = unsafe ZSTD_compress2(context, &packed, capacity, bytes, bytes.count)
  precondition(ZSTD_isError(count) == 0)
  return Array(packed[..<count])
}

enum Packing: CaseIterable, Sendable {
  case gzip, zstd

  func pack(_ bytes: [UInt8]) -> [UInt8] {
    switch self {
    case .gzip: CorpusTests.gzip(bytes)
    case .zstd: CorpusTests.zstd(bytes)
    }
  }

  /// One member or frame for each half.
  func packHalves(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    return pack(Array(bytes[..<(bytes.count / 2)])) + pack(Array(bytes[(bytes.count / 2)...]))
  }
}

@Suite struct CompressedTextTests {
  private func packedIds(_ bytes: [UInt8], stoppingAfter countdown: Int? = nil) throws -> [Int32] {
    try withFolder { folder in
      let input = folder + "/a.txt"
      try Data(bytes).write(to: URL(filePath: input))
      let plan = smallPlan([input], to: folder, shardTokens: 500)
      if var left = countdown {
        let stop = CorpusError(.io, "a test", "stops here")
        #expect(throws: stop) {
          try TextPacker.pack(plan) { (_: PackingEvent) throws(CorpusError) in
            if left == 0 { throw stop }
            left -= 1
          }
        }
      }
      _ = try TextPacker.pack(plan)
      return try ids(of: folder + "/xx/train")
    }
  }

  /// Longer than what is read and inflated at a time.
  private static let text = (0..<40).map { someText(lines: 500, seed: $0) }.joined()
  private static let noise: [UInt8] = {
    // Letters that do not compress, so that the file is long too.
    var state: UInt64 = 88_172_645_463_325_252
    return (0..<900_000).map { index in
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return index % 61 == 60 ? UInt8(ascii: "\n") : UInt8(ascii: "a") + UInt8(state % 26)
    }
  }()

  @Test(arguments: Packing.allCases)
  func compressedTextsGiveTheSameIds(packing: Packing) throws {
    let expected = expectedIds([Self.text], tokenizer: LetterTokenizer()).train
    #expect(try packedIds(packing.packHalves(Self.text)) == expected)
    #expect(try packedIds(packing.packHalves(Self.text), stoppingAfter: 700) == expected)
    #expect(try packedIds(packing.pack([])) == [])
  }

  @Test(arguments: Packing.allCases)
  func longFilesAreReadInPieces(packing: Packing) throws {
    let text = String(decoding: Self.noise, as: UTF8.self)
    #expect(packing.packHalves(text).count > 400_000)
    #expect(
      try packedIds(packing.packHalves(text))
        == expectedIds([text], tokenizer: LetterTokenizer()).train)
  }

  @Test(arguments: Packing.allCases)
  func cutFilesAreErrors(packing: Packing) throws {
    let text = someText(lines: 20)
    let whole = packing.packHalves(text)
    let first = packing.pack(Array(text.utf8.prefix(text.utf8.count / 2))).count
    // Each count is a run that writes its journal to the disk, so not all of them.
    let counts =
      Array(stride(from: 4, to: whole.count, by: 9)) + Array(whole.count - 9..<whole.count)
    for count in counts where count != first {
      let error = #expect(throws: CorpusError.self, "\(count) of \(whole.count) bytes") {
        try packedIds(Array(whole[..<count]))
      }
      #expect(error?.code == .data)
      #expect(error?.path.hasSuffix("a.txt") == true)
    }
  }

  @Test(arguments: Packing.allCases)
  func damagedFilesAreErrors(packing: Packing) throws {
    let whole = packing.pack(Array(someText(lines: 20).utf8))
    for place in stride(from: 12, to: whole.count, by: 11) {
      var damaged = whole
      damaged[place] ^= 0x55
      #expect(throws: CorpusError.self, "byte \(place)") { try packedIds(damaged) }
    }
    #expect(throws: CorpusError.self) { try packedIds(whole + [1, 2, 3]) }
  }
}

@Suite struct BadTextTests {
  private func failure(_ texts: [[UInt8]], threads: Int = 3, dropDuplicates: Bool = false) throws
    -> CorpusError
  {
    try withFolder { folder in
      var inputs: [String] = []
      for (index, text) in texts.enumerated() {
        inputs.append("\(folder)/\(index).txt")
        try Data(text).write(to: URL(filePath: inputs[index]))
      }
      let plan = smallPlan(
        inputs, to: folder, dropDuplicates: dropDuplicates, threads: threads)
      var error = try #require(throws: CorpusError.self) { try TextPacker.pack(plan) }
      #expect(error.path.hasPrefix(folder))
      error.path = String(error.path.dropFirst(folder.count + 1))
      return error
    }
  }

  @Test(arguments: [false, true])
  func theFirstLineThatIsNoUTF8IsNamed(dropDuplicates: Bool) throws {
    let good = Array(someText(lines: 200).utf8)
    let lines = good.count { $0 == 0x0A }
    let bad = good + [0x61, 0xFF, 0x0A] + good + [0xC3, 0x0A] + good
    let error = try failure([good, bad], dropDuplicates: dropDuplicates)
    #expect(error.code == .data)
    #expect(error.path == "1.txt")
    #expect(error.line == lines + 1)
    #expect(error.message.contains("0xFF at offset \(good.count + 1)"))
  }

  @Test func tooLongALineIsNamed() throws {
    let long = [UInt8](repeating: 0x61, count: 16 << 20 | 1)
    for text in [[0x0A, 0x0A] + long, [0x0A, 0x0A] + long + [0x0A]] {
      let error = try failure([text])
      #expect(error.line == 3)
      #expect(error.message.contains("16 MiB"))
    }
  }

  @Test func absentFilesAndDirectoriesAreNamed() throws {
    try withFolder { folder in
      for name in ["absent.txt", ""] {
        let input = folder + "/" + name
        let error = #expect(throws: CorpusError.self) {
          try TextPacker.pack(smallPlan([input], to: folder + "/out"))
        }
        #expect(error?.code == .missing)
        #expect(error?.path == input)
      }
    }
  }
}
