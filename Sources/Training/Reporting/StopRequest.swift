/// Why a run is to save and end before its end.
public enum StopRequest: Sendable, Equatable {
  /// Someone at the keyboard wants it.
  case interrupt
  /// The scheduler wants the machine, and the run is to be queued again.
  case preemption
}
