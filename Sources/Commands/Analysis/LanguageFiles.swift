import Configuration

/// Files by language, as options name them: `L=FILE`.
struct LanguageFiles {
  /// In the order in which they were named, each language once.
  private(set) var all: [(language: String, files: [String])] = []

  /// - Throws: ``UsageError`` for a value that is not of this form, or if there is none.
  init(_ option: String, of arguments: ParsedArguments) throws(UsageError) {
    func error(_ message: String) -> UsageError {
      UsageError("--\(option) \(message)", command: "isogloss \(arguments.command)")
    }
    for value in arguments.values(option) {
      let parts = value.split(separator: "=", maxSplits: 1)
      guard parts.count == 2, !parts[0].contains("/") else {
        throw error("needs a language and a file, L=FILE, found \(value)")
      }
      let (language, file) = (String(parts[0]), String(parts[1]))
      if let place = all.firstIndex(where: { $0.language == language }) {
        all[place].files.append(file)
      } else {
        all.append((language, [file]))
      }
    }
    if all.isEmpty { throw error("is missing: a file for each language, L=FILE") }
  }
}
