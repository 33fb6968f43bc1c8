import Foundation

/// The figures of a bench, printed as one JSON object or as lines of `key: value` in the order given.
struct BenchReport: Encodable {
  enum Figure: Encodable {
    case text(String)
    case count(Int)
    case counts([Int64])
    /// A number that is printed with so many decimals.
    case measured(Double, decimals: Int)

    var text: String {
      switch self {
      case .text(let text): text
      case .count(let count): "\(count)"
      case .counts(let counts): "\(counts)"
      case .measured(let value, let decimals): String(format: "%.\(decimals)f", value)
      }
    }

    /// A number that is not finite is null in JSON.
    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .text(let text): try container.encode(text)
      case .count(let count): try container.encode(count)
      case .counts(let counts): try container.encode(counts)
      case .measured(let value, let decimals):
        try container.encode(value.isFinite ? value.rounded(decimals: decimals) : nil)
      }
    }
  }

  private struct Key: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  private let figures: [(key: String, figure: Figure)]

  init(_ figures: [(String, Figure)]) { self.figures = figures.map { ($0.0, $0.1) } }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    for (key, figure) in figures {
      try container.encode(figure, forKey: Key(stringValue: key))
    }
  }

  func print(asJSON: Bool) throws {
    if asJSON {
      try JSONLine.print(self)
    } else {
      for (key, figure) in figures { Swift.print("\(key): \(figure.text)") }
    }
  }
}

extension Double {
  /// The nearest number with so many decimals, as `String(format:)` prints it.
  func rounded(decimals: Int) -> Double {
    Double(String(format: "%.\(decimals)f", self)) ?? self
  }
}
