/// The facts that hold for the whole life of this process.
enum ProcessFacts {
  static let programVersion = "0.1.0"

  /// When the process started to work: the time at which ``recordStart()`` was first called.
  static let start = ContinuousClock.now

  /// Records the time of the start. The program calls it before it reads the command line.
  static func recordStart() { _ = start }
}
