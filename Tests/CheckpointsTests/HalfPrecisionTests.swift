import Checkpoints
import Determinism
import TestSupport
import Testing

@Test func everyBrainFloatReadsAsItsUpperHalf() {
  for bits in UInt16.min...UInt16.max {
    let value = HalfPrecision.float(bf16: bits)
    #expect(value.bitPattern == UInt32(bits) << 16)
    if !value.isNaN { #expect(HalfPrecision.bf16(value) == bits) }
  }
}

/// The value by its definition: sign, exponent and fraction.
private func definedValue(f16 bits: UInt16) -> Double {
  let fraction = Double(bits & 0x3FF)
  let exponent = Int(bits >> 10 & 0x1F)
  let sign: Double = bits & 0x8000 == 0 ? 1 : -1
  switch exponent {
  case 0: return sign * Double(sign: .plus, exponent: -24, significand: fraction)
  case 31: return fraction == 0 ? sign * .infinity : .nan
  default:
    return sign * Double(sign: .plus, exponent: exponent - 25, significand: 1024 + fraction)
  }
}

@Test func everyHalfReadsAsItsValueAndWritesBack() {
  for bits in UInt16.min...UInt16.max {
    let value = HalfPrecision.float(f16: bits)
    let wanted = definedValue(f16: bits)
    if wanted.isNaN {
      #expect(value.isNaN, "bits \(bits)")
      #expect(HalfPrecision.float(f16: HalfPrecision.f16(value)).isNaN, "bits \(bits)")
    } else {
      #expect(value.bitPattern == Float(wanted).bitPattern, "bits \(bits)")
      #expect(HalfPrecision.f16(value) == bits)
    }
  }
}

/// Between two neighbours of a 16-bit type: the midpoint goes to the even one, and the float on either
/// side of it to the nearer.
private func checkRounding(
  infinity: UInt16, widen: (UInt16) -> Float, round: (Float) -> UInt16
) {
  for bits in 0..<infinity {
    let low = Double(widen(bits))
    // Above the largest number stands the power of two that would follow it.
    let high = bits + 1 < infinity ? Double(widen(bits + 1)) : 2 * low - Double(widen(bits - 1))
    let middle = Float((low + high) / 2)
    #expect(round(middle) == (bits % 2 == 0 ? bits : bits + 1), "midpoint above \(bits)")
    #expect(round(middle.nextDown) == bits, "below the midpoint above \(bits)")
    #expect(round(middle.nextUp) == bits + 1, "above the midpoint above \(bits)")
    #expect(round(-middle.nextUp) == (bits + 1) | 0x8000)
  }
}

@Test func roundingToHalfIsToNearestEven() {
  checkRounding(
    infinity: 0x7C00, widen: { HalfPrecision.float(f16: $0) }, round: { HalfPrecision.f16($0) })
}

@Test func roundingToBrainFloatIsToNearestEven() {
  checkRounding(
    infinity: 0x7F80, widen: { HalfPrecision.float(bf16: $0) }, round: { HalfPrecision.bf16($0) })
}

@Test func notANumberStaysNotANumber() {
  for pattern: UInt32 in [0x7F80_0001, 0x7FFF_FFFF, 0xFF80_0001, 0x7FC0_0000, 0xFFFF_FFFF] {
    let value = Float(bitPattern: pattern)
    #expect(HalfPrecision.float(f16: HalfPrecision.f16(value)).isNaN)
    #expect(HalfPrecision.float(bf16: HalfPrecision.bf16(value)).isNaN)
    #expect(HalfPrecision.f16(value) >> 15 == UInt16(pattern >> 31))
  }
}

#if !(os(macOS) && arch(x86_64))
  @Test func conversionsAgreeWithSwiftsFloat16() {
    for bits in UInt16.min...UInt16.max {
      let wanted = Float(Float16(bitPattern: bits))
      let value = HalfPrecision.float(f16: bits)
      #expect(value == wanted || (value.isNaN && wanted.isNaN), "bits \(bits)")
    }
    var random = RandomStream(seed: 7, "half")
    for _ in 0..<1_000_000 {
      let value = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
      let wanted = Float16(value)
      let found = HalfPrecision.f16(value)
      if found != wanted.bitPattern && !value.isNaN { Issue.record("\(value): \(found)") }
    }
  }
#endif
