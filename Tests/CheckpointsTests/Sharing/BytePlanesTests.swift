import Checkpoints
import Determinism
import Files
import Testing

@Suite struct BytePlanesTests {
  private static let kinds = [
    ElementKind(width: 1, isFloat: false), ElementKind(width: 2, isFloat: true),
    ElementKind(width: 2, isFloat: false), ElementKind(width: 4, isFloat: true),
    ElementKind(width: 8, isFloat: true), ElementKind(width: 8, isFloat: false),
  ]

  /// Any bits at all, NaNs and −0 among them, with lengths that are no multiple of an element.
  @Test(arguments: 0..<200)
  func anyBlockComesBack(seed: Int) throws {
    var random = RandomStream(seed: UInt64(seed), "planes")
    let kind = Self.kinds[seed % Self.kinds.count]
    let count = random.below(300)
    let base = (0..<count).map { _ in UInt8(random.below(256)) }
    var block = base
    switch seed % 5 {
    case 0: block = (0..<count).map { _ in UInt8(random.below(256)) }
    case 1: for _ in 0..<min(count, 3) { block[random.below(count)] = UInt8(random.below(256)) }
    case 2: block = [UInt8](repeating: 0, count: count)
    default: break
    }
    for below in [nil, base] {
      let encoded = BytePlanes.encode(block, over: below, kind)
      if below != nil, block == base { #expect(encoded.isEmpty) }
      let decoded = try BytePlanes.decode(
        encoded[...], count: count, over: below, kind, path: "block")
      #expect(decoded == block)
    }
  }

  /// Small steps up and down from numbers of any size, as training makes them.
  @Test func smallChangesTakeFewBytes() {
    var random = RandomStream(seed: 1, "steps")
    let base = (0..<20_000).map { _ in Float(random.below(1 << 24)) / 0x1p24 - 0.5 }
    let block = base.map { $0 + (Float(random.below(1 << 24)) / 0x1p24 - 0.5) * 1e-4 }
    let encoded = BytePlanes.encode(bytes(block), over: bytes(base), ElementKind(.f32))
    #expect(encoded.count < base.count * 4 * 60 / 100, "\(encoded.count) of \(base.count * 4)")
  }

  /// What strangers send: an error, and never more memory than the block.
  @Test(arguments: 0..<300)
  func mutatedBlocksAreRefusedOrDecoded(seed: Int) {
    var random = RandomStream(seed: UInt64(seed), "mutations")
    let block = (0..<400).map { _ in UInt8(random.below(3)) }
    var encoded = BytePlanes.encode(block, over: nil, ElementKind(.f32))
    for _ in 0...random.below(4) {
      switch random.below(3) {
      case 0: encoded[random.below(encoded.count)] = UInt8(random.below(256))
      case 1: encoded.removeLast(min(encoded.count - 1, random.below(5)))
      default: encoded.insert(UInt8(random.below(256)), at: random.below(encoded.count))
      }
    }
    do throws(FileError) {
      let decoded = try BytePlanes.decode(
        encoded[...], count: 400, over: nil, ElementKind(.f32), path: "block")
      #expect(decoded.count == 400)
    } catch {
      #expect(error.code == .data && error.path == "block")
    }
  }

  private func bytes(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in
      (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt32($0))) }
    }
  }
}
