import Corpus
import Files
import Foundation
import TestSupport
import Testing
import Tokenizers

@Suite struct CompressedTextTests {
  private func packedIds(_ bytes: [UInt8], stoppingAfter countdown: Int? = nil) throws -> [Int32] {
    try withFolder { folder in
      let input = folder + "/a.txt"
      try Data(bytes).write(to: URL(filePath: input))
      let plan = smallPlan([input], to: folder, shardTokens: 500)
      if var left = countdown {
        let stop = FileError(.io, "a test", "stops here")
        #expect(throws: stop) {
          try TextPacker.pack(plan) { (_: PackingEvent) throws(FileError) in
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

  @Test(arguments: Compressor.allCases)
  func compressedTextsGiveTheSameIds(packing: Compressor) throws {
    let expected = expectedIds([Self.text], tokenizer: LetterTokenizer()).train
    #expect(try packedIds(packing.packHalves(Self.text)) == expected)
    #expect(try packedIds(packing.packHalves(Self.text), stoppingAfter: 700) == expected)
    #expect(try packedIds(packing.pack([])) == [])
  }

  @Test(arguments: Compressor.allCases)
  func longFilesAreReadInPieces(packing: Compressor) throws {
    let text = String(decoding: Self.noise, as: UTF8.self)
    #expect(packing.packHalves(text).count > 400_000)
    #expect(
      try packedIds(packing.packHalves(text))
        == expectedIds([text], tokenizer: LetterTokenizer()).train)
  }

  @Test(arguments: Compressor.allCases)
  func cutFilesAreErrors(packing: Compressor) throws {
    let text = someText(lines: 20)
    let whole = packing.packHalves(text)
    let first = packing.pack(Array(text.utf8.prefix(text.utf8.count / 2))).count
    // Each count is a run that writes its journal to the disk, so not all of them.
    let counts =
      Array(stride(from: 4, to: whole.count, by: 9)) + Array(whole.count - 9..<whole.count)
    for count in counts where count != first {
      let error = #expect(throws: FileError.self, "\(count) of \(whole.count) bytes") {
        try packedIds(Array(whole[..<count]))
      }
      #expect(error?.code == .data)
      #expect(error?.path.hasSuffix("a.txt") == true)
    }
  }

  @Test(arguments: Compressor.allCases)
  func damagedFilesAreErrors(packing: Compressor) throws {
    let whole = packing.pack(Array(someText(lines: 20).utf8))
    for place in stride(from: 12, to: whole.count, by: 11) {
      var damaged = whole
      damaged[place] ^= 0x55
      #expect(throws: FileError.self, "byte \(place)") { try packedIds(damaged) }
    }
    #expect(throws: FileError.self) { try packedIds(whole + [1, 2, 3]) }
  }
}

@Suite struct BadTextTests {
  private func failure(_ texts: [[UInt8]], threads: Int = 3, dropDuplicates: Bool = false) throws
    -> FileError
  {
    try withFolder { folder in
      var inputs: [String] = []
      for (index, text) in texts.enumerated() {
        inputs.append("\(folder)/\(index).txt")
        try Data(text).write(to: URL(filePath: inputs[index]))
      }
      let plan = smallPlan(
        inputs, to: folder, dropDuplicates: dropDuplicates, threads: threads)
      var error = try #require(throws: FileError.self) { try TextPacker.pack(plan) }
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
        let error = #expect(throws: FileError.self) {
          try TextPacker.pack(smallPlan([input], to: folder + "/out"))
        }
        #expect(error?.code == .missing)
        #expect(error?.path == input)
      }
    }
  }
}
