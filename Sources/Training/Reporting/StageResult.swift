/// What came of a stage, as `result.json` in its directory.
public struct StageResult: Codable, Equatable, Sendable {
  public var stage: String
  /// The stage's name without its language: stages of one group stand in one column of a table.
  public var group: String
  public var steps: Int
  public var seconds: Double
  public var tokensPerSecond: Double
  public var weightHash: String
  /// What was scored on test, for each language that has a test part, under the names that the stage's task gives.
  public var test: [Score]
  /// The same on dev.
  public var dev: [Score]
  /// What it ran on. Results of earlier versions say nothing of it, nor of the two that follow.
  public var ranks: Int?
  public var threads: Int?
  /// The most memory of the first rank's process, in bytes.
  public var peakBytes: Int?
  /// Of a stage with a sweep, the try that it is, and how many there were.
  public var chosen: String?
  public var tries: Int?
  /// What each language gave; see ``StageFeed/ledger(steps:languages:)``.
  public var ledger: [[String]]?

  /// The scores of a language, by name.
  public struct Score: Codable, Equatable, Sendable {
    public var language: String
    public var values: [String: Double]

    public init(language: String, values: [String: Double]) {
      self.language = language
      self.values = values
    }

    /// A score that there is.
    public subscript(name: String) -> Double {
      guard let value = values[name] else { preconditionFailure("no score \(name)") }
      return value
    }

    private struct Name: CodingKey {
      var stringValue: String
      var intValue: Int? { nil }
      init(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }

    public init(from decoder: any Decoder) throws {
      let members = try decoder.container(keyedBy: Name.self)
      language = try members.decode(String.self, forKey: Name(stringValue: "language"))
      values = [:]
      for key in members.allKeys where key.stringValue != "language" {
        values[key.stringValue] = try members.decode(Double.self, forKey: key)
      }
    }

    public func encode(to encoder: any Encoder) throws {
      var members = encoder.container(keyedBy: Name.self)
      try members.encode(language, forKey: Name(stringValue: "language"))
      for (name, value) in values {
        try members.encode(value, forKey: Name(stringValue: name))
      }
    }
  }
}
