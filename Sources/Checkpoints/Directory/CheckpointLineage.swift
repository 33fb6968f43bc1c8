public import Files

/// The checkpoints that one comes from, as its manifest tells.
///
/// A manifest repeats what the manifests of its parents say of theirs, so that the whole chain is known without them.
public struct CheckpointLineage: Sendable, Equatable {
  public struct Ancestor: Sendable, Equatable {
    public var name: String
    /// The SHA-256 of its manifest, or, of a directory without one, of the list of its files.
    public var identity: String
    /// The identities of its own parents.
    public var parents: [String]
    /// What is known of it besides, by the names in ``CheckpointLineage/factNames``.
    public var facts: [(name: String, value: String)]

    public static func == (one: Ancestor, other: Ancestor) -> Bool {
      one.identity == other.identity && one.name == other.name && one.parents == other.parents
        && one.facts.elementsEqual(other.facts) { $0 == $1 }
    }
  }

  static let factNames = ["program_version", "stage", "weight_hash"]
  // What strangers write is cut to these.
  static let countLimit = 1000
  static let parentLimit = 100
  static let textLimit = 200

  /// The identities of those that this checkpoint was made of: one, or several that were merged.
  public private(set) var parents: [String] = []
  /// These, theirs, and so on, each once.
  public private(set) var ancestors: [Ancestor] = []

  /// A checkpoint that comes from nothing.
  public init() {}

  init(parents: [String], ancestors: [Ancestor]) {
    self.parents = parents
    self.ancestors = ancestors
  }

  /// Reads the lineage among the facts of a manifest; what cannot be read is left out.
  init(facts: JSONValue) {
    parents = Self.identities(facts["parents"])
    for item in (facts["ancestors"]?.array ?? []).prefix(Self.countLimit) {
      guard let name = item["name"]?.string, let identity = item["identity"]?.string,
        CheckpointManifest.isHash(identity)
      else { continue }
      let facts = Self.factNames.compactMap { key in
        item[key]?.string.map { (key, printable($0, limit: Self.textLimit)) }
      }
      ancestors.append(
        Ancestor(
          name: printable(name, limit: Self.textLimit), identity: identity,
          parents: Self.identities(item["parents"]), facts: facts))
    }
  }

  private static func identities(_ value: JSONValue?) -> [String] {
    (value?.array ?? []).prefix(parentLimit).compactMap(\.string).filter(CheckpointManifest.isHash)
  }

  /// Writes the lineage down among the facts of a manifest.
  public func write(into facts: inout JSONObject) {
    if parents.isEmpty { return }
    facts["parents"] = .array(parents.map { .string($0) })
    facts["ancestors"] = .array(
      ancestors.map { ancestor in
        var object = JSONObject()
        object["name"] = .string(ancestor.name)
        object["identity"] = .string(ancestor.identity)
        object["parents"] = .array(ancestor.parents.map { .string($0) })
        for fact in ancestor.facts { object[fact.name] = .string(fact.value) }
        return .object(object)
      })
  }

  /// The chain in lines for people, each parent below its child and two spaces further in; one that was shown is not
  /// shown again.
  public func text(of name: String) -> String {
    var lines = [printable(name, limit: Self.textLimit)]
    let byIdentity = Dictionary(ancestors.map { ($0.identity, $0) }) { first, _ in first }
    var shown: Set<String> = []
    var rest = parents.reversed().map { (identity: $0, depth: 1) }
    while let (identity, depth) = rest.popLast() {
      let indent = String(repeating: "  ", count: min(depth, 40))
      guard let ancestor = byIdentity[identity] else {
        lines.append(indent + "a checkpoint of identity \(identity.prefix(16))…")
        continue
      }
      guard shown.insert(identity).inserted else {
        lines.append(indent + "\(ancestor.name) (identity \(identity.prefix(16))…) as above")
        continue
      }
      let words =
        ["identity \(identity.prefix(16))…"] + ancestor.facts.map { "\($0.name) \($0.value)" }
      lines.append(indent + "\(ancestor.name) (\(words.joined(separator: ", ")))")
      for parent in ancestor.parents.reversed() { rest.append((parent, depth + 1)) }
    }
    return lines.joined(separator: "\n")
  }
}

extension CheckpointManifest {
  /// Where the checkpoint comes from.
  public var lineage: CheckpointLineage { CheckpointLineage(facts: facts) }
}
