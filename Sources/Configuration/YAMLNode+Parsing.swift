import CYAML
import Foundation

extension YAMLNode {
  /// What a configuration may be at most. Far above any real one; a hostile file ends early.
  enum Limit {
    static let bytes = 10_000_000
    static let depth = 32
    static let nodes = 200_000
  }

  /// Reads the one YAML document of a file.
  ///
  /// - Throws: ``ConfigError`` if the file is missing, unreadable, over 10 MB, or not a document that
  ///   ``parse(_:source:)`` takes.
  public static func read(path: String) throws(ConfigError) -> YAMLNode {
    guard FileManager.default.fileExists(atPath: path) else {
      throw ConfigError(.missing, path, "no such file")
    }
    guard let file = FileHandle(forReadingAtPath: path) else {
      throw ConfigError(.missing, path, "cannot be opened for reading")
    }
    var bytes: [UInt8] = []
    do {
      while bytes.count <= Limit.bytes,
        let part = try file.read(upToCount: Limit.bytes + 1 - bytes.count), !part.isEmpty
      {
        bytes += part
      }
    } catch {
      throw ConfigError(.io, path, "cannot be read as a file (\(error.localizedDescription))")
    }
    guard bytes.count <= Limit.bytes else {
      throw ConfigError(.content, path, "is over 10 MB; a configuration is a few kB")
    }
    return try parse(bytes, source: path)
  }

  /// Parses one YAML document, UTF-8, with or without a byte order mark.
  ///
  /// Anchors, aliases, tags, directives, several documents, keys that are not scalars and keys given
  /// twice are errors, and so are more than 32 levels or 200,000 values.
  ///
  /// - Parameters:
  ///   - bytes: The document.
  ///   - source: What the places name: the path of the file.
  public static func parse(_ bytes: [UInt8], source: String) throws(ConfigError) -> YAMLNode {
    let hasMark = bytes.starts(with: [0xEF, 0xBB, 0xBF])
    var parser = DocumentParser(
      events: YAMLEvents(hasMark ? Array(bytes.dropFirst(3)) : bytes, source: source))
    return try parser.document()
  }
}

/// Builds the tree of one document from its events.
private struct DocumentParser {
  let events: YAMLEvents
  var nodeCount = 0

  init(events: YAMLEvents) { self.events = events }

  mutating func document() throws(ConfigError) -> YAMLNode {
    _ = try events.next()  // the stream's start
    let start = try events.next()
    if case .streamEnd = start.kind {
      throw ConfigError(start.place, "the configuration is empty")
    }
    guard case .documentStart(hasDirectives: false) = start.kind else {
      throw ConfigError(start.place, "YAML directives (%YAML, %TAG) are not used here; remove them")
    }
    let root = try node(try events.next(), depth: 1)
    _ = try events.next()  // the document's end
    let end = try events.next()
    guard case .streamEnd = end.kind else {
      throw ConfigError(end.place, "a second document begins here; a configuration is one document")
    }
    return root
  }

  private mutating func node(_ event: YAMLEvents.Event, depth: Int) throws(ConfigError) -> YAMLNode
  {
    nodeCount += 1
    guard nodeCount <= YAMLNode.Limit.nodes else {
      throw ConfigError(event.place, "more than \(YAMLNode.Limit.nodes) values")
    }
    guard depth <= YAMLNode.Limit.depth else {
      throw ConfigError(event.place, "nested more than \(YAMLNode.Limit.depth) levels deep")
    }
    if event.hasAnchor {
      throw ConfigError(
        event.place, "anchors (&name) and aliases (*name) are not used here; write the value out")
    }
    if event.hasTag {
      throw ConfigError(event.place, "tags (!name) are not used here; remove it")
    }
    switch event.kind {
    case .scalar(let text, let style):
      return YAMLNode(.scalar(text, style), at: event.place)
    case .sequenceStart:
      var members: [YAMLNode] = []
      while true {
        let next = try events.next()
        if case .sequenceEnd = next.kind { return YAMLNode(.sequence(members), at: event.place) }
        members.append(try node(next, depth: depth + 1))
      }
    case .mappingStart: return try mapping(at: event.place, depth: depth)
    default:
      throw ConfigError(event.place, "expected a value")
    }
  }

  private mutating func mapping(at place: Place, depth: Int) throws(ConfigError) -> YAMLNode {
    var entries: [YAMLNode.Entry] = []
    var places: [String: Place] = [:]
    while true {
      let next = try events.next()
      if case .mappingEnd = next.kind { return YAMLNode(.mapping(entries), at: place) }
      let key = try node(next, depth: depth + 1)
      guard case .scalar(let name, _) = key.content else {
        throw ConfigError(key.place, "a key must be a name, not \(key.found)")
      }
      if let first = places.updateValue(key.place, forKey: name) {
        throw ConfigError(
          key.place,
          "the key \(name.quotedForMessage) is given twice (first at line \(first.line))")
      }
      let value = try node(try events.next(), depth: depth + 1)
      entries.append(YAMLNode.Entry(key: name, keyPlace: key.place, value: value))
    }
  }
}

/// The events of one YAML stream, in order. Owns the bytes and libyaml's parser over them.
@safe private final class YAMLEvents {
  struct Event {
    enum Kind {
      case streamStart, streamEnd
      case documentStart(hasDirectives: Bool)
      case documentEnd
      case scalar(String, YAMLNode.Style)
      case sequenceStart, sequenceEnd, mappingStart, mappingEnd
      case alias
    }
    var kind: Kind
    var place: Place
    /// Whether the node defines or is a reference to another.
    var hasAnchor = false
    var hasTag = false
  }

  private let source: String
  private let input: UnsafeMutableBufferPointer<UInt8>
  private let parser: UnsafeMutablePointer<yaml_parser_t>

  init(_ bytes: [UInt8], source: String) {
    self.source = source
    unsafe input = .allocate(capacity: bytes.count)
    _ = unsafe input.initialize(from: bytes)
    unsafe parser = .allocate(capacity: 1)
    unsafe parser.initialize(to: yaml_parser_t())
    precondition(unsafe yaml_parser_initialize(parser) == 1, "libyaml could not allocate a parser")
    unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    unsafe yaml_parser_set_input_string(parser, input.baseAddress, input.count)
  }

  deinit {
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
    unsafe input.deallocate()
  }

  /// The next event. The C function is `yaml_parser_parse`.
  func next() throws(ConfigError) -> Event {
    var raw = unsafe yaml_event_t()
    guard unsafe yaml_parser_parse(parser, &raw) == 1 else { throw failure() }
    defer { unsafe yaml_event_delete(&raw) }
    let place = unsafe place(raw.start_mark)
    switch unsafe raw.type {
    case YAML_STREAM_START_EVENT: return Event(kind: .streamStart, place: place)
    case YAML_DOCUMENT_START_EVENT:
      let start = unsafe raw.data.document_start
      let hasVersion = unsafe start.version_directive != nil
      let hasTags = unsafe start.tag_directives.start != start.tag_directives.end
      return Event(kind: .documentStart(hasDirectives: hasVersion || hasTags), place: place)
    case YAML_DOCUMENT_END_EVENT: return Event(kind: .documentEnd, place: place)
    case YAML_ALIAS_EVENT: return Event(kind: .alias, place: place, hasAnchor: true)
    case YAML_SCALAR_EVENT:
      let scalar = unsafe raw.data.scalar
      let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
      let text = unsafe String(decoding: bytes, as: UTF8.self)
      return unsafe Event(
        kind: .scalar(text, style(scalar.style)), place: place, hasAnchor: scalar.anchor != nil,
        hasTag: scalar.tag != nil)
    case YAML_SEQUENCE_START_EVENT:
      let start = unsafe raw.data.sequence_start
      return unsafe Event(
        kind: .sequenceStart, place: place, hasAnchor: start.anchor != nil, hasTag: start.tag != nil
      )
    case YAML_SEQUENCE_END_EVENT: return Event(kind: .sequenceEnd, place: place)
    case YAML_MAPPING_START_EVENT:
      let start = unsafe raw.data.mapping_start
      return unsafe Event(
        kind: .mappingStart, place: place, hasAnchor: start.anchor != nil, hasTag: start.tag != nil)
    case YAML_MAPPING_END_EVENT: return Event(kind: .mappingEnd, place: place)
    default: return Event(kind: .streamEnd, place: place)
    }
  }

  private func style(_ style: yaml_scalar_style_t) -> YAMLNode.Style {
    switch style {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE: .singleQuoted
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE: .doubleQuoted
    case YAML_LITERAL_SCALAR_STYLE: .literal
    case YAML_FOLDED_SCALAR_STYLE: .folded
    default: .plain
    }
  }

  private func place(_ mark: yaml_mark_t) -> Place {
    Place(source, line: Int(clamping: mark.line) + 1, column: Int(clamping: mark.column) + 1)
  }

  /// The error libyaml stopped at. A wrong byte has an offset and no mark; its place is counted.
  private func failure() -> ConfigError {
    let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) }
    guard unsafe parser.pointee.error == YAML_READER_ERROR else {
      let context = unsafe parser.pointee.context.map { unsafe " (\(String(cString: $0)))" }
      let place = unsafe place(parser.pointee.problem_mark)
      return ConfigError(place, "not YAML: \(problem ?? "it cannot be read")\(context ?? "")")
    }
    let offset = unsafe min(Int(clamping: parser.pointee.problem_offset), input.count)
    let before = unsafe input[..<offset]
    let line = unsafe before.reduce(1) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
    let lineStart = unsafe (before.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
    let column = unsafe before[lineStart...].reduce(1) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) }
    return ConfigError(
      Place(source, line: line, column: column),
      "not UTF-8 text: \(problem ?? "a byte that cannot be read")")
  }
}
