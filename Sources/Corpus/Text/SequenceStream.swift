import Determinism
public import Files

/// The sequences of one language's packed text, pass after pass without end.
///
/// Every pass takes the shards in a new random order, some at a time, and the sequences of those in a random order: no
/// sequence comes again before all others have come. Memory is twelve bytes for each sequence of the shards at hand,
/// whose ids stay in their files. What comes follows from the seed, the stage and the language alone; a ``Cursor``
/// says how much has come, and another stream goes on from it.
public struct SequenceStream: Sendable {
  /// How far a stream is. The beginning by default.
  public struct Cursor: Sendable, Equatable, Codable {
    public var pass = 0
    /// Which of the groups of shards of the pass is at hand.
    public var group = 0
    /// The sequences of the group that have come.
    public var offset = 0

    public init() {}
  }

  /// What the random orders are keyed by.
  public struct Key: Sendable, Equatable {
    public var seed: UInt64
    public var stage: Int
    /// The index of the language.
    public var language: Int

    public init(seed: UInt64, stage: Int, language: Int) {
      self.seed = seed
      self.stage = stage
      self.language = language
    }
  }

  /// The shards whose sequences are mixed.
  public static let shardsAtOnce = 4

  public let text: PackedText
  public let shape: SequenceShape
  public let key: Key
  public private(set) var cursor: Cursor
  /// The group at hand; empty until the first sequence is asked for.
  private var shards: [TokenShard] = []
  private var starts: [[UInt32]] = []
  /// The sequences of the group in their random order: shard above, sequence below.
  private var order: [UInt64] = []

  /// - Precondition: The text has a token.
  public init(
    _ text: PackedText, shape: SequenceShape, key: Key, from cursor: Cursor = Cursor()
  ) {
    precondition(text.tokenCount > 0, "a text without tokens")
    self.text = text
    self.shape = shape
    self.key = key
    self.cursor = cursor
  }

  /// The next sequence.
  ///
  /// - Throws: ``FileError`` where a shard is gone or altered, or the cursor is not of this text.
  public mutating func next() throws(FileError) -> TextSequence {
    if shards.isEmpty { try load() }
    while cursor.offset >= order.count {
      cursor.offset = 0
      cursor.group += 1
      if cursor.group * Self.shardsAtOnce >= text.shardCount {
        cursor.group = 0
        cursor.pass += 1
      }
      try load()
    }
    let place = order[cursor.offset]
    cursor.offset += 1
    let shard = Int(place >> 32)
    let sequence = Int(place & 0xFFFF_FFFF)
    let start = Int(starts[shard][sequence])
    let end =
      sequence + 1 < starts[shard].count ? Int(starts[shard][sequence + 1]) : shards[shard].count
    return TextSequence(shard: shards[shard], range: start..<end)
  }

  private mutating func load() throws(FileError) {
    var numbers = Array(0..<text.shardCount)
    var random = RandomStream(
      seed: key.seed, "shards", .number(key.stage), .number(key.language), .number(cursor.pass))
    random.shuffle(&numbers)
    guard cursor.pass >= 0, (0..<numbers.count).contains(cursor.group), cursor.offset >= 0,
      cursor.group * Self.shardsAtOnce < numbers.count
    else {
      throw FileError(
        .data, text.path,
        "a run that read \(cursor.group) groups of shards cannot go on with \(numbers.count) shards; give it the text it began with"
      )
    }
    let first = cursor.group * Self.shardsAtOnce
    shards = []
    starts = []
    order = []
    for number in numbers[first..<min(first + Self.shardsAtOnce, numbers.count)] {
      let shard = try text.shard(number)
      guard shard.count <= UInt32.max else {
        throw FileError(
          .data, shard.path, "holds \(shard.count) tokens; pack the text in smaller shards")
      }
      let found = shape.starts(in: shard).map { UInt32($0) }
      order += found.indices.map { UInt64(shards.count) << 32 | UInt64($0) }
      starts.append(found)
      shards.append(shard)
    }
    var mixing = RandomStream(
      seed: key.seed, "sequences", .number(key.stage), .number(key.language),
      .number(cursor.pass), .number(cursor.group))
    mixing.shuffle(&order)
    guard cursor.offset <= order.count else {
      throw FileError(
        .data, text.path,
        "a run that read \(cursor.offset) sequences cannot go on with \(order.count); give it the text it began with"
      )
    }
  }
}
