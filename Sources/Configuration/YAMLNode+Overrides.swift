/// A value given on the command line in place of the file's: `stages.0.learning_rate=1e-5`.
struct Override {
  /// `override 'key=value'`: what errors name.
  let source: String
  /// The names and indices on the way to the value.
  let path: [String]
  /// Nil to remove the key: `null` was given.
  let value: YAMLNode?

  /// Takes `text` apart at its first `=`. The value is YAML on one line.
  init(_ text: String) throws(ConfigError) {
    source = "override \(text.quotedForMessage)"
    let start = Place(source, line: 1, column: 1)
    guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
      throw ConfigError(start, "expected key=value, such as max_steps=100")
    }
    path = text[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard !path.contains(where: \.isEmpty) else {
      throw ConfigError(start, "an empty name between dots")
    }
    guard path.count <= YAMLNode.Limit.depth else {
      throw ConfigError(start, "nested more than \(YAMLNode.Limit.depth) levels deep")
    }
    let written = text[text.index(after: equals)...]
    let column = path.joined(separator: ".").count + 2
    guard !written.allSatisfy(\.isWhitespace) else {
      throw ConfigError(
        Place(source, line: 1, column: column), "no value behind the = (null removes a key)")
    }
    // Spaces stand in for the key, so that places count within the whole override.
    let indent = String(repeating: " ", count: column - 1)
    do {
      let node = try YAMLNode.parse(Array((indent + written).utf8), source: source)
      value = node.isNull ? nil : node
    } catch {
      guard error.line != 1, !written.contains(where: \.isNewline) else { throw error }
      throw ConfigError(Place(source, line: 1, column: text.count + 1), error.message)
    }
  }

  var keyPlace: Place { Place(source, line: 1, column: 1) }
}

extension YAMLNode {
  /// The document with the override's value at its path. Mappings on the way are made if they are
  /// not there; members of lists must be there.
  ///
  /// A key that excludes another (`max_steps` and `num_train_epochs`) takes the other's place if the
  /// file gave it.
  func applying(_ override: Override, exclusive: [(String, String)]) throws(ConfigError) -> YAMLNode
  {
    try replacing(override.path[...], by: override, exclusive: exclusive)
  }

  private func replacing(
    _ path: ArraySlice<String>, by override: Override, exclusive: [(String, String)]
  ) throws(ConfigError) -> YAMLNode {
    guard let name = path.first else { return override.value ?? self }
    let rest = path.dropFirst()
    let before = override.path.prefix(path.startIndex).joined(separator: ".")
    var node = self
    switch content {
    case .scalar:
      throw ConfigError(override.keyPlace, "\(before) is a value and has no '\(name)' below it")
    case .sequence(var members):
      guard let index = Int(name), members.indices.contains(index) else {
        throw ConfigError(
          override.keyPlace,
          "\(before) is a list of \(members.count); '\(name)' is no index from 0 in it")
      }
      if rest.isEmpty, override.value == nil {
        members.remove(at: index)
      } else {
        members[index] = try members[index].replacing(rest, by: override, exclusive: exclusive)
      }
      node.content = .sequence(members)
    case .mapping(var entries):
      let place = entries.firstIndex { $0.key == name }
      if rest.isEmpty, override.value == nil {
        guard let place else {
          throw ConfigError(override.keyPlace, "there is no '\(name)' to remove")
        }
        entries.remove(at: place)
      } else {
        let old = place.map { entries[$0].value } ?? YAMLNode(.mapping([]), at: override.keyPlace)
        let entry = Entry(
          key: name,
          keyPlace: rest.isEmpty || place == nil ? override.keyPlace : entries[place ?? 0].keyPlace,
          value: try old.replacing(rest, by: override, exclusive: exclusive))
        if let place { entries[place] = entry } else { entries.append(entry) }
        if rest.isEmpty {
          let excluded = exclusive.compactMap { $0 == name ? $1 : $1 == name ? $0 : nil }
          entries.removeAll { excluded.contains($0.key) && $0.keyPlace.source == self.place.source }
        }
      }
      node.content = .mapping(entries)
    }
    return node
  }
}
