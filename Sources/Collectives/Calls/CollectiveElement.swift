/// A number that collectives can move: `Float`, `Double`, `Int64`, `Int32`, ``BFloat16`` and `UInt8`.
public protocol CollectiveElement: BitwiseCopyable, Sendable {
  static var elementType: ElementType { get }
}

/// A number that collectives can move and reduce: `Float`, `Double`, `Int64` and ``BFloat16``.
public protocol ReducibleElement: CollectiveElement {}

/// The type of the elements of a call, as ranks tell each other.
public enum ElementType: UInt8, Sendable {
  case float = 1
  case double = 2
  case int64 = 3
  case uint8 = 4
  case bfloat16 = 5
  case int32 = 6

  var byteCount: Int {
    switch self {
    case .bfloat16: 2
    case .float, .int32: 4
    case .double, .int64: 8
    case .uint8: 1
    }
  }
}

extension Float: ReducibleElement {
  public static var elementType: ElementType { .float }
}

extension Double: ReducibleElement {
  public static var elementType: ElementType { .double }
}

extension Int64: ReducibleElement {
  public static var elementType: ElementType { .int64 }
}

/// The upper half of a `Float`. The sum of two is formed in `Float` and rounded to the nearest, ties to even; sums of
/// more are so rounded at every step of their order.
public struct BFloat16: ReducibleElement, Equatable {
  public var bits: UInt16

  public init(bits: UInt16) { self.bits = bits }

  public static var elementType: ElementType { .bfloat16 }
}

extension Int32: CollectiveElement {
  public static var elementType: ElementType { .int32 }
}

extension UInt8: CollectiveElement {
  public static var elementType: ElementType { .uint8 }
}
