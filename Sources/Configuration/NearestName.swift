/// Which known name a person probably meant by an unknown one.
enum NearestName {
  /// The known name that `name` is a likely slip of, or nil.
  ///
  /// Case, `-` and `_` are ignored. A slip is at most one edit (a character missing, added, changed,
  /// or swapped with its neighbour) per three characters, and at most three. The earlier of equally
  /// near names wins.
  ///
  /// - Complexity: O(sum of the lengths of `known` × length of `name`); 0 beyond 64 characters.
  static func of(_ name: String, in known: [String]) -> String? {
    guard name.count <= 64 else { return nil }
    let wanted = letters(name)
    var best: (name: String, distance: Int)?
    for candidate in known {
      let distance = editDistance(wanted, letters(candidate))
      guard distance <= min(3, max(1, wanted.count / 3)), distance < candidate.count else {
        continue
      }
      if distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.name
  }

  /// The end of a message about the unknown `name`: the nearest known one, or all of them.
  static func hint(_ name: String, in known: [String]) -> String {
    if let nearest = of(name, in: known) { return "did you mean '\(nearest)'?" }
    return "known: \(known.joined(separator: ", "))"
  }

  private static func letters(_ name: String) -> [Character] {
    name.lowercased().filter { $0 != "_" && $0 != "-" }
  }

  /// Edits between `a` and `b`, neighbours swapped counting as one (optimal string alignment).
  static func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    var older = [Int](repeating: 0, count: b.count + 1)
    var old = Array(0...b.count)
    for i in a.indices {
      var row = [i + 1]
      for j in b.indices {
        var cost = min(old[j + 1] + 1, row[j] + 1, old[j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
          cost = min(cost, older[j - 1] + 1)
        }
        row.append(cost)
      }
      (older, old) = (old, row)
    }
    return old[b.count]
  }
}
