import Checkpoints
import Files
import Foundation

/// A directory of a stage whose files are made in a hidden one and move to their place together, with a manifest.
struct MadeDirectory {
  private let place: String
  /// Where the files are made.
  let making: String

  /// - Parameter name: `corpus` or `predictions`.
  init(_ name: String, ofStage directory: String) throws {
    place = directory + "/" + name
    making = directory + "/.\(name).making"
    discard()
    do {
      try FileManager.default.createDirectory(
        atPath: making, withIntermediateDirectories: true)
    } catch {
      throw RunError(.io, "\(making) cannot be made: \(error.localizedDescription)")
    }
  }

  /// Whether nothing was made.
  var isEmpty: Bool {
    get throws { try FileManager.default.contentsOfDirectory(atPath: making).isEmpty }
  }

  /// Removes what was made and did not move.
  func discard() { try? FileManager.default.removeItem(atPath: making) }

  /// Moves the files to their place, in that of older ones.
  func finish(programVersion: String, facts: JSONObject) throws(FileError) {
    let files = FileManager.default
    try CheckpointDirectory.write(
      to: place, replacing: true, programVersion: programVersion, facts: .object(facts)
    ) { (temporary) throws(FileError) in
      do {
        for name in try files.contentsOfDirectory(atPath: making) {
          try files.moveItem(atPath: making + "/" + name, toPath: temporary + "/" + name)
        }
      } catch {
        throw FileError(.io, place, "cannot be written: \(error.localizedDescription)")
      }
    }
    discard()
  }
}
