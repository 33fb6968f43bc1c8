import Glibc

/// The counter-based generator Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1,
/// 2, 3", SC 2011): four words that are a pure function of a 128-bit counter and a 64-bit key.
public enum Philox {
  /// The four output words of `counter` under `key`.
  public static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var c = counter
    var k = key
    for round in 0..<10 {
      if round > 0 { k &+= SIMD2(0x9E37_79B9, 0xBB67_AE85) }
      let p0 = UInt64(c[0]) * 0xD251_1F53
      let p1 = UInt64(c[2]) * 0xCD9E_8D57
      c = SIMD4(
        UInt32(truncatingIfNeeded: p1 >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: p1),
        UInt32(truncatingIfNeeded: p0 >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: p0))
    }
    return c
  }
}

/// A stream of random numbers named by what it is for: the same name gives the same numbers on every
/// machine, in any order of use. Cheap to make and to copy.
public struct RandomStream: RandomNumberGenerator, Sendable {
  private let key: SIMD2<UInt32>
  private let stream: UInt64
  private var position: UInt64 = 0

  fileprivate var name: (key: SIMD2<UInt32>, stream: UInt64) { (key, stream) }

  /// - Parameters:
  ///   - seed: The seed of the run.
  ///   - path: What the stream is for, for example `["shuffle", language, epoch]`, as numbers and
  ///     short strings; streams of different paths are independent.
  public init(seed: UInt64, _ path: StreamPart...) {
    self.init(seed: seed, path)
  }

  public init(seed: UInt64, _ path: [StreamPart]) {
    var hash = FNV1a()
    for part in path {
      switch part {
      case .number(let number):
        hash.add(byte: 0x6E)
        hash.add(word: UInt64(bitPattern: Int64(number)))
      case .text(let text):
        hash.add(byte: 0x74)
        hash.add(word: UInt64(text.utf8.count))
        for byte in text.utf8 { hash.add(byte: byte) }
      }
    }
    key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    stream = hash.value
  }

  public mutating func next() -> UInt64 {
    let words = Philox.block(
      counter: SIMD4(
        UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: position >> 32),
        UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)),
      key: key)
    position += 1
    return UInt64(words[0]) | UInt64(words[1]) << 32
  }

  /// A number in `0 ..< bound` by multiplication and rejection, without bias.
  public mutating func below(_ bound: Int) -> Int {
    precondition(bound > 0, "no number is below \(bound)")
    let range = UInt64(bound)
    let threshold = (0 &- range) % range
    while true {
      let product = next().multipliedFullWidth(by: range)
      if product.low >= threshold { return Int(product.high) }
    }
  }

  /// A number in `[0, 1)`, a multiple of 2⁻⁵³.
  public mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A draw from the normal distribution of mean 0 and deviation 1 (Box and Muller, cosine half).
  public mutating func normal() -> Double {
    let radius = (-2 * log(1 - unit())).squareRoot()
    return radius * cos(2 * Double.pi * unit())
  }

  /// A random order of `values` (Fisher and Yates).
  public mutating func shuffle<Element>(_ values: inout [Element]) {
    guard values.count > 1 else { return }
    for last in stride(from: values.count - 1, to: 0, by: -1) {
      values.swapAt(last, below(last + 1))
    }
  }
}

/// The words of a ``RandomStream`` of 32 bits, four of each block: for many small numbers.
public struct RandomWords: Sendable {
  private let key: SIMD2<UInt32>
  private let stream: UInt64
  private var position: UInt64 = 0
  private var block = SIMD4<UInt32>()
  /// How many words of the block are used.
  private var used = 4

  public init(seed: UInt64, _ path: StreamPart...) {
    (key, stream) = RandomStream(seed: seed, path).name
  }

  public mutating func next() -> UInt32 {
    if used == 4 {
      block = Philox.block(
        counter: SIMD4(
          UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: position >> 32),
          UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)),
        key: key)
      position += 1
      used = 0
    }
    defer { used += 1 }
    return block[used]
  }

  /// A number in `0 ..< bound` by multiplication and rejection, without bias.
  public mutating func below(_ bound: Int) -> Int {
    precondition(bound > 0 && bound <= UInt32.max, "no number is below \(bound)")
    let range = UInt64(bound)
    var product = UInt64(next()) * range
    if product & 0xFFFF_FFFF < range {
      let threshold = (0x1_0000_0000 - range) % range
      while product & 0xFFFF_FFFF < threshold { product = UInt64(next()) * range }
    }
    return Int(product >> 32)
  }
}

/// A part of the name of a ``RandomStream``.
public enum StreamPart: Sendable, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
  case number(Int)
  case text(String)

  public init(integerLiteral value: Int) { self = .number(value) }
  public init(stringLiteral value: String) { self = .text(value) }
}

/// The 64-bit FNV-1a hash, for names and for comparing buffers of numbers bit by bit.
public struct FNV1a: Sendable {
  public private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  public init() {}

  public mutating func add(byte: UInt8) {
    value = (value ^ UInt64(byte)) &* 0x100_0000_01B3
  }

  public mutating func add(word: UInt64) {
    for shift in stride(from: 0, to: 64, by: 8) {
      add(byte: UInt8(truncatingIfNeeded: word >> shift))
    }
  }

  public mutating func add(_ values: Span<Float>) {
    for index in values.indices {
      let bits = values[index].bitPattern
      for shift in stride(from: 0, to: 32, by: 8) {
        add(byte: UInt8(truncatingIfNeeded: bits >> shift))
      }
    }
  }
}
