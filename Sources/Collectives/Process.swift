import Glibc

/// The name of this machine.
enum HostName {
  static var current: String {
    var name = [CChar](repeating: 0, count: 256)
    guard unsafe gethostname(&name, name.count - 1) == 0 else { return "unknown host" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

enum ProcessEnd {
  /// Leaves without running anything that could wait.
  static func exit(_ code: Int32) -> Never {
    fflush(nil)
    _exit(code)
  }
}

/// What the environment says about how this process was started.
public enum Launch {
  /// The ranks that a launcher says there are, or nil without a launcher.
  ///
  /// Open MPI, MPICH and their relatives, and Slurm's PMI set these; a plain batch script sets none.
  public static var expectedSize: Int? {
    for name in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"] {
      if let size = variable(name).flatMap(Int.init) { return size }
    }
    if variable("PMIX_RANK") != nil || variable("PMI_RANK") != nil {
      return variable("SLURM_STEP_NUM_TASKS").flatMap(Int.init)
        ?? variable("SLURM_NTASKS").flatMap(Int.init) ?? 1
    }
    return nil
  }

  public static var isUnderLauncher: Bool { expectedSize != nil }

  private static func variable(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }
}

/// Waits without blocking: polls until something is done or the time is over.
struct PolledWait {
  /// How long a rank waits for others, in seconds.
  let timeoutSeconds: Double

  /// - Parameter isDone: Makes progress and says whether it is over. Called often at first, later every
  ///   millisecond at least.
  /// - Returns: False if the time ran out.
  func callAsFunction<Failure: Error>(
    _ isDone: () throws(Failure) -> Bool
  ) throws(Failure) -> Bool {
    if try isDone() { return true }
    let start = ContinuousClock.now
    var polls = 0
    var pause: UInt32 = 1
    while true {
      if try isDone() { return true }
      polls += 1
      if polls < 200 { continue }
      if polls < 20_000 {
        sched_yield()
      } else {
        usleep(pause)
        pause = min(pause * 2, 1000)
      }
      if polls % 64 == 0 || pause == 1000,
        ContinuousClock.now - start > .seconds(timeoutSeconds)
      {
        return try isDone()
      }
    }
  }
}
