/// The type of a tensor's elements in a safetensors file, little-endian; its raw value is the name in the file.
public enum ElementType: String, Sendable, Codable, CaseIterable {
  case f64 = "F64"
  case f32 = "F32"
  case f16 = "F16"
  case bf16 = "BF16"
  case i64 = "I64"
  case i32 = "I32"
  case i16 = "I16"
  case i8 = "I8"
  case u64 = "U64"
  case u32 = "U32"
  case u16 = "U16"
  case u8 = "U8"
  case bool = "BOOL"

  /// Bytes of one element.
  public var size: Int {
    switch self {
    case .f64, .i64, .u64: 8
    case .f32, .i32, .u32: 4
    case .f16, .bf16, .i16, .u16: 2
    case .i8, .u8, .bool: 1
    }
  }

  /// Whether elements can be read as `Float`.
  public var isFloatingPoint: Bool {
    switch self {
    case .f64, .f32, .f16, .bf16: true
    default: false
    }
  }
}

/// A Swift type whose memory is what a safetensors file holds for ``elementType``.
public protocol SafetensorsElement: BitwiseCopyable, Sendable {
  static var elementType: ElementType { get }
}

extension Float: SafetensorsElement {
  public static var elementType: ElementType { .f32 }
}
extension Double: SafetensorsElement {
  public static var elementType: ElementType { .f64 }
}
extension Int64: SafetensorsElement {
  public static var elementType: ElementType { .i64 }
}
extension Int32: SafetensorsElement {
  public static var elementType: ElementType { .i32 }
}
extension UInt8: SafetensorsElement {
  public static var elementType: ElementType { .u8 }
}

// MARK: Half precision

/// Conversions between `Float` and the bits of the two 16-bit floating-point types.
///
/// Written with integers, so that they are the same on processors without either type and whatever
/// the rounding of subnormal numbers is set to.
public enum HalfPrecision {
  /// The value of the IEEE binary16 number `bits`, exactly. A NaN keeps its payload.
  @inlinable
  public static func float(f16 bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let magnitude = UInt32(bits & 0x7FFF) << 13
    if magnitude >= 0x0F80_0000 {  // infinity or NaN
      return Float(bitPattern: sign | 0x7F80_0000 | (magnitude & 0x007F_FFFF))
    }
    if magnitude < 0x0080_0000 {  // subnormal: a multiple of 2⁻²⁴ put behind 2⁻¹⁴, taken off again
      let value = Float(bitPattern: magnitude | 0x3880_0000) - 0x1p-14
      return Float(bitPattern: sign | value.bitPattern)
    }
    return Float(bitPattern: sign | (magnitude + 0x3800_0000))
  }

  /// The value of the bfloat16 number `bits`, exactly.
  @inlinable
  public static func float(bf16 bits: UInt16) -> Float {
    Float(bitPattern: UInt32(bits) << 16)
  }

  /// `value` rounded to the nearest binary16 number, ties to even; infinite from 65,520 up.
  @inlinable
  public static func f16(_ value: Float) -> UInt16 {
    let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
    let magnitude = value.bitPattern & 0x7FFF_FFFF
    if magnitude > 0x7F80_0000 {  // NaN, made quiet
      return sign | 0x7E00 | UInt16(truncatingIfNeeded: magnitude >> 13) & 0x01FF
    }
    if magnitude >= 0x477F_F000 { return sign | 0x7C00 }
    if magnitude < 0x3880_0000 {  // below 2⁻¹⁴: the sum with ½ is rounded to a multiple of 2⁻²⁴
      let sum = Float(bitPattern: magnitude) + 0.5
      return sign | UInt16(truncatingIfNeeded: sum.bitPattern &- 0x3F00_0000)
    }
    let rounded = magnitude &- 0x3800_0000 &+ 0x0FFF &+ (magnitude >> 13 & 1)
    return sign | UInt16(truncatingIfNeeded: rounded >> 13)
  }

  /// `value` rounded to the nearest bfloat16 number, ties to even.
  @inlinable
  public static func bf16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    if bits & 0x7FFF_FFFF > 0x7F80_0000 {  // NaN, made quiet
      return UInt16(truncatingIfNeeded: bits >> 16) | 0x0040
    }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
  }
}
