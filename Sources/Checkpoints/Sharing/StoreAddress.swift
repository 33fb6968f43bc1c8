public import Files

/// A store, wherever it is.
public struct StoreAddress: Sendable {
  private enum Place {
    case folder(String)
    case remote(RemoteStore)
  }

  private let place: Place

  /// - Parameter text: A folder, or `HOST:FOLDER` for one that ssh reaches. A folder with a colon in its name is written
  ///   with a `/` before it: `./a:b`.
  public init(_ text: String) throws(FileError) {
    if let colon = text.firstIndex(of: ":"), !text[..<colon].contains("/") {
      place = .remote(
        try RemoteStore(
          host: String(text[..<colon]), folder: String(text[text.index(after: colon)...])))
    } else {
      place = .folder(text)
    }
  }

  /// See ``CheckpointStore/push(_:as:parent:)``.
  public func push(
    _ directory: String, as name: String, parent: String? = nil
  ) throws(FileError) -> CheckpointStore.Push {
    switch place {
    case .folder(let path):
      try CheckpointStore(path, creating: true).push(directory, as: name, parent: parent)
    case .remote(let store): try store.push(directory, as: name, parent: parent)
    }
  }

  /// See ``CheckpointStore/pull(_:to:)``.
  public func pull(_ name: String, to directory: String) throws(FileError) {
    switch place {
    case .folder(let path): try CheckpointStore(path).pull(name, to: directory)
    case .remote(let store): try store.pull(name, to: directory)
    }
  }

  public func entries() throws(FileError) -> [CheckpointStore.Entry] {
    switch place {
    case .folder(let path): try CheckpointStore(path).entries()
    case .remote(let store): try store.entries()
    }
  }
}
