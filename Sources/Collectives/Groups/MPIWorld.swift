import CMPI
import Glibc
import Synchronization

/// The ranks that a launcher such as `mpirun` or `srun` has started, joined by MPI.
///
/// Every call of MPI is in this file.
public enum MPIWorld {
  /// Starts MPI and returns the group of all ranks; its traffic is apart from that of others.
  ///
  /// Later calls return the same communicator. The corresponding C function is `MPI_Init_thread`.
  ///
  /// - Throws: ``CollectiveError/Code/launch`` if MPI was already finalized, gives less than
  ///   `MPI_THREAD_MULTIPLE`, or sees fewer ranks than the launcher has started.
  public static func start(settings: CollectiveSettings = CollectiveSettings())
    throws(CollectiveError) -> any Communicator
  {
    do throws(TransportFailure) {
      return try started.withLock { started throws(TransportFailure) in
        if let world = started { return world }
        let world = try initialize(settings)
        started = world
        return world
      }
    } catch {
      throw CollectiveError(
        code: error.code, operation: starting, rank: Launch.rank ?? 0, detail: error.detail)
    }
  }

  private static let starting = "start of MPI"

  /// Waits for all ranks and ends MPI; does nothing if it was not started or has ended.
  ///
  /// Only for a run that went well: after a failure use ``Communicator/abort(code:)``. The
  /// corresponding C function is `MPI_Finalize`.
  public static func finish() throws(CollectiveError) {
    let world = started.withLock { started in
      defer { started = nil }
      return started
    }
    guard let world, !isFinalized else { return }
    world.quietWatch()
    try world.barrier()
    let settings = world.settings
    let status = Deadline.guarding(seconds: settings.timeoutSeconds) {
      settings.whenStuck?(
        CollectiveError(
          code: .timeout, operation: "end of MPI", rank: world.rank,
          detail: "took over \(Int(settings.timeoutSeconds)) s: a rank or its network is gone"))
    } _: {
      world.endWatch()
      return MPI_Finalize()
    }
    guard status == CMPI_SUCCESS() else {
      throw CollectiveError(
        code: .transport(status), operation: "end of MPI", rank: world.rank,
        detail: text(ofStatus: status))
    }
  }

  private static let started = Mutex<RankGroup<MPITransport>?>(nil)

  private static var isInitialized: Bool {
    var flag: Int32 = 0
    unsafe MPI_Initialized(&flag)
    return flag != 0
  }

  private static var isFinalized: Bool {
    var flag: Int32 = 0
    unsafe MPI_Finalized(&flag)
    return flag != 0
  }

  /// Starts MPI within the time-out, and lets the ranks tell each other where they are.
  private static func initialize(
    _ settings: CollectiveSettings
  ) throws(TransportFailure) -> RankGroup<MPITransport> {
    let ranks =
      Launch.expectedSize.map { "not all of \($0) ranks have come" } ?? "a rank is missing"
    let job = unsafe getenv("PMIX_NAMESPACE").map { unsafe String(cString: $0) }
    return try Deadline.guarding(seconds: settings.timeoutSeconds) {
      // Less than the other ranks leave the first one to speak.
      let rank = Launch.rank ?? 0
      let advice =
        SilentHosts.find(ofJob: job, seconds: min(1, settings.timeoutSeconds))
        .text(askedBy: "rank \(rank) on \(nameOfThisHost())")
        ?? "look for hosts that are down, a firewall, or networks that not all hosts share "
        + "(OMPI_MCA_btl_tcp_if_include)"
      settings.whenStuck?(
        CollectiveError(
          code: .timeout, operation: starting, rank: rank,
          detail: "took over \(Int(settings.timeoutSeconds)) s: \(ranks); \(advice)"))
    } _: { () throws(TransportFailure) in
      let transport = try initialize()
      let own = Array(nameOfThisHost().utf8)
      let names: [[UInt8]]
      do throws(CollectiveError) {
        let alone = RankActivity(
          rank: transport.rank, hosts: [String](repeating: "?", count: transport.size))
        names = try RankGroup(transport, settings: settings, activity: alone).allGather(own)
      } catch {
        throw TransportFailure(code: error.code, detail: error.detail)
      }
      let activity = RankActivity(
        rank: transport.rank, hosts: names.map { String(decoding: $0, as: UTF8.self) },
        isShown: true)
      let world = RankGroup(transport, settings: settings, activity: activity)
      if transport.size > 1 { world.watch(on: try transport.duplicate()) }
      return world
    }
  }

  private static func initialize() throws(TransportFailure) -> MPITransport {
    if isFinalized {
      throw TransportFailure(code: .launch, detail: "MPI has ended and cannot start again")
    }
    // Open MPI's TCP writes large messages into the other rank's memory by a protocol that moves one way at a time:
    // both ways at once 70 MB/s at 1 Gbit/s, and 120 with plain messages. Read by MPI_Init; others' MPI ignore it.
    unsafe setenv("OMPI_MCA_btl_tcp_flags", "1", 0)
    var level: Int32 = 0
    if isInitialized {
      try unsafe check(MPI_Query_thread(&level))
    } else {
      try unsafe check(MPI_Init_thread(nil, nil, CMPI_THREAD_MULTIPLE(), &level))
    }
    guard level >= CMPI_THREAD_MULTIPLE() else {
      throw TransportFailure(
        code: .launch,
        detail: "this MPI gives thread level \(level) and not MPI_THREAD_MULTIPLE "
          + "(\(CMPI_THREAD_MULTIPLE())); use a build of MPI with threads")
    }
    unsafe MPI_Comm_set_errhandler(CMPI_COMM_WORLD().raw, CMPI_ERRORS_RETURN())
    var own = unsafe CMPI_COMM_NULL()
    try unsafe check(MPI_Comm_dup(CMPI_COMM_WORLD().raw, &own.raw))
    let transport = try unsafe MPITransport(own)
    if let expected = Launch.expectedSize, expected != transport.size {
      throw TransportFailure(
        code: .launch,
        detail: "the launcher started \(expected) processes, but MPI joins \(transport.size) of "
          + "them; use the launcher of the same MPI, or srun --mpi=pmix")
    }
    return transport
  }
}

/// Messages by `MPI_Isend` and `MPI_Irecv`, polled by `MPI_Test`.
@safe struct MPITransport: Transport, @unchecked Sendable {
  private let group: CMPI_Comm
  /// The same ranks, for what they agree on before payloads move.
  private let control: CMPI_Comm
  let rank: Int
  let size: Int

  @safe struct Request {
    fileprivate var handle = unsafe CMPI_REQUEST_NULL()
  }

  /// Takes a communicator over; errors on it are returned from now on.
  fileprivate init(_ group: CMPI_Comm) throws(TransportFailure) {
    var rank: Int32 = 0
    var size: Int32 = 0
    var control = unsafe CMPI_COMM_NULL()
    try unsafe check(MPI_Comm_set_errhandler(group.raw, CMPI_ERRORS_RETURN()))
    try unsafe check(MPI_Comm_dup(group.raw, &control.raw))
    try unsafe check(MPI_Comm_set_errhandler(control.raw, CMPI_ERRORS_RETURN()))
    try unsafe check(MPI_Comm_rank(group.raw, &rank))
    try unsafe check(MPI_Comm_size(group.raw, &size))
    unsafe self.group = group
    unsafe self.control = control
    self.rank = Int(rank)
    self.size = Int(size)
  }

  /// The corresponding C function is `MPI_Isend`.
  func startSend(_ bytes: UnsafeRawBufferPointer, to peer: Int, on channel: Channel)
    throws(TransportFailure) -> Request
  {
    var request = Request()
    try unsafe check(
      MPI_Isend(
        bytes.baseAddress, count(bytes.count), CMPI_BYTE(), Int32(peer), channel.rawValue,
        (channel == .agreement ? control : group).raw, &request.handle.raw))
    return request
  }

  /// The corresponding C function is `MPI_Irecv`.
  func startReceive(
    into bytes: UnsafeMutableRawBufferPointer, from peer: Int, on channel: Channel
  ) throws(TransportFailure) -> Request {
    var request = Request()
    try unsafe check(
      MPI_Irecv(
        bytes.baseAddress, count(bytes.count), CMPI_BYTE(), Int32(peer), channel.rawValue,
        (channel == .agreement ? control : group).raw, &request.handle.raw))
    return request
  }

  /// The corresponding C function is `MPI_Test`.
  func isDone(_ request: inout Request) throws(TransportFailure) -> Bool {
    var flag: Int32 = 0
    try unsafe check(MPI_Test(&request.handle.raw, &flag, CMPI_STATUS_IGNORE()))
    return flag != 0
  }

  /// The corresponding C functions are `MPI_Cancel` and `MPI_Request_free`.
  func cancel(_ request: inout Request) {
    guard unsafe request.handle.raw != CMPI_REQUEST_NULL().raw else { return }
    unsafe MPI_Cancel(&request.handle.raw)
    var flag: Int32 = 0
    unsafe MPI_Test(&request.handle.raw, &flag, CMPI_STATUS_IGNORE())
    if flag == 0 { unsafe MPI_Request_free(&request.handle.raw) }
  }

  /// The same ranks with messages of their own. The corresponding C function is `MPI_Comm_dup`.
  fileprivate func duplicate() throws(TransportFailure) -> MPITransport {
    var other = unsafe CMPI_COMM_NULL()
    try unsafe check(MPI_Comm_dup(group.raw, &other.raw))
    return try unsafe MPITransport(other)
  }

  /// The corresponding C function is `MPI_Comm_split`. All ranks are known to have come.
  func split(sequence: UInt64, color: Int, members: [Int]) throws(TransportFailure)
    -> MPITransport
  {
    var part = unsafe CMPI_COMM_NULL()
    let position = members.firstIndex(of: rank) ?? 0
    try unsafe check(MPI_Comm_split(group.raw, Int32(color), Int32(position), &part.raw))
    return try unsafe MPITransport(part)
  }

  /// The corresponding C function is `MPI_Comm_split_type`. All ranks are known to have come.
  func splitByMachine(sequence: UInt64) throws(TransportFailure) -> MPITransport {
    var part = unsafe CMPI_COMM_NULL()
    try unsafe check(
      MPI_Comm_split_type(
        group.raw, CMPI_COMM_TYPE_SHARED(), Int32(rank), CMPI_INFO_NULL(), &part.raw))
    return try unsafe MPITransport(part)
  }

  /// The corresponding C function is `MPI_Abort`. If it blocks or returns, this process ends anyway.
  func abort(code: Int32) -> Never {
    let graceSeconds: UInt32 = 5
    _ = startThread(stackBytes: 1 << 16) {
      sleep(graceSeconds)
      _exit(code)
    }
    fflush(nil)
    unsafe MPI_Abort(CMPI_COMM_WORLD().raw, code)
    _exit(code)
  }

  private func count(_ byteCount: Int) -> Int32 {
    guard let count = Int32(exactly: byteCount) else {
      preconditionFailure("a piece of \(byteCount) bytes is longer than MPI counts")
    }
    return count
  }
}

/// Throws MPI's own words for a status that is not success.
private func check(_ status: Int32) throws(TransportFailure) {
  guard status != CMPI_SUCCESS() else { return }
  throw TransportFailure(code: .transport(status), detail: text(ofStatus: status))
}

/// MPI's words in one line. The corresponding C function is `MPI_Error_string`.
private func text(ofStatus status: Int32) -> String {
  var text = [CChar](repeating: 0, count: Int(CMPI_MAX_ERROR_STRING()) + 1)
  var length: Int32 = 0
  guard unsafe MPI_Error_string(status, &text, &length) == CMPI_SUCCESS() else {
    return "MPI error \(status)"
  }
  // MPICH's are several lines.
  let newline: CChar = 0x0A
  let bytes = text.prefix(Int(max(0, length))).map { $0 == newline ? 0x20 : UInt8(bitPattern: $0) }
  return "MPI: \(String(decoding: bytes, as: UTF8.self))"
}
