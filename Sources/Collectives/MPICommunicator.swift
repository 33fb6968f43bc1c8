internal import CMPI
import Glibc

/// The ranks of an MPI job. The only file that calls MPI.
///
/// All calls are non-blocking ones that are polled. What ranks are about to do is compared on a
/// communicator of its own.
@safe public final class MPICommunicator: Communicator, @unchecked Sendable {
  public let rank: Int
  public let size: Int
  public var hostName: String { HostName.current }
  private let payload: cmpi_comm
  private let records: cmpi_comm
  private let wait: PolledWait
  private var sequence: Int64 = 0
  /// Elements that one MPI call carries at most: counts are 32-bit there.
  private let pieceCount: Int

  /// Starts MPI. Once a process, if a launcher started it.
  ///
  /// The corresponding C function is `MPI_Init_thread`.
  ///
  /// - Parameter timeoutSeconds: How long a rank waits for others.
  public static func start(
    timeoutSeconds: Double = 1800
  ) throws(CollectiveError) -> MPICommunicator {
    try start(timeoutSeconds: timeoutSeconds, pieceCount: 1 << 28)
  }

  /// - Parameter pieceCount: The elements of one MPI call at most, small in tests.
  package static func start(
    timeoutSeconds: Double, pieceCount: Int
  ) throws(CollectiveError) -> MPICommunicator {
    if cmpi_initialized() == 0 {
      var enough: Int32 = 0
      let status = unsafe cmpi_init(&enough)
      guard status == cmpi_success(), enough != 0 else {
        throw CollectiveError(
          code: .transport(status), operation: "MPI_Init_thread", rank: 0,
          detail: "this MPI does not let several threads take turns")
      }
    }
    return try unsafe MPICommunicator(
      duplicating: cmpi_world(), timeoutSeconds: timeoutSeconds, pieceCount: pieceCount)
  }

  /// Ends MPI. After it no communicator may be used. The C function is `MPI_Finalize`.
  public static func finish() {
    if cmpi_initialized() != 0 && cmpi_finalized() == 0 { _ = cmpi_finalize() }
  }

  private init(
    duplicating parent: cmpi_comm, timeoutSeconds: Double, pieceCount: Int
  ) throws(CollectiveError) {
    var (payload, records) = unsafe (parent, parent)
    rank = unsafe Int(cmpi_rank(parent))
    size = unsafe Int(cmpi_size(parent))
    for status in unsafe [cmpi_duplicate(parent, &payload), cmpi_duplicate(parent, &records)]
    where status != cmpi_success() {
      throw Self.failure(status, "MPI_Comm_dup", rank: rank)
    }
    unsafe self.payload = payload
    unsafe self.records = records
    wait = PolledWait(timeoutSeconds: timeoutSeconds)
    self.pieceCount = pieceCount
  }

  // MARK: Collectives

  public func barrier() throws(CollectiveError) {
    try agree(.barrier, "barrier")
  }

  public func broadcast<Element: CollectiveElement>(
    _ values: inout MutableSpan<Element>, from root: Int
  ) throws(CollectiveError) {
    precondition(root >= 0 && root < size, "rank \(root) of \(size)")
    let what = "broadcast from rank \(root) of \(values.count) \(Element.elementName)s"
    try agree(.broadcast, what, Element.self, parameter: root, count: values.count)
    let type = Self.type(Element.self)
    unsafe try pieces(&values, what) { base, count, request in
      unsafe cmpi_ibcast(base, count, type, Int32(root), payload, &request)
    }
  }

  public func allReduce<Element: CollectiveElement>(
    _ values: inout MutableSpan<Element>, _ reduction: Reduction
  ) throws(CollectiveError) {
    precondition(Element.self != UInt8.self, "bytes are not reduced")
    let what = "allReduce(\(reduction)) of \(values.count) \(Element.elementName)s"
    let operation =
      switch reduction {
      case .sum: Int32(CMPI_SUM)
      case .min: Int32(CMPI_MIN)
      case .max: Int32(CMPI_MAX)
      }
    try agree(.allReduce, what, Element.self, parameter: Int(operation), count: values.count)
    let type = Self.type(Element.self)
    unsafe try pieces(&values, what) { base, count, request in
      unsafe cmpi_iallreduce(base, count, type, operation, payload, &request)
    }
  }

  public func allGather<Element: CollectiveElement>(
    _ values: Span<Element>
  ) throws(CollectiveError) -> [[Element]] {
    let what = "allGather of \(values.count) \(Element.elementName)s"
    let counts = try agree(
      .allGather, what, Element.self, count: values.count, countsMayDiffer: true)
    var gathered = [Element](repeating: .zero, count: counts.reduce(0, +))
    var span = gathered.mutableSpan
    try move(
      values, sending: [Range<Int>](repeating: 0..<values.count, count: size), into: &span,
      receiving: counts, what)
    var bound = 0
    return counts.map { count in
      defer { bound += count }
      return Array(gathered[bound..<bound + count])
    }
  }

  public func exchange<Element: CollectiveElement>(
    _ values: Span<Element>, sending: [Range<Int>], into received: inout MutableSpan<Element>,
    receiving: [Int]
  ) throws(CollectiveError) {
    let what = "exchange of \(values.count) \(Element.elementName)s"
    try agree(.exchange, what, Element.self, count: values.count, countsMayDiffer: true)
    try move(values, sending: sending, into: &received, receiving: receiving, what)
  }

  public func send<Element: CollectiveElement>(
    _ values: Span<Element>, to destination: Int, tag: Int
  ) throws(CollectiveError) {
    let what = "send to rank \(destination) of \(values.count) \(Element.elementName)s"
    try header(values.count, peer: destination, tag: tag, sends: true, what)
    let base = unsafe values.withUnsafeBufferPointer {
      unsafe UnsafeMutableRawPointer(mutating: $0.baseAddress)
    }
    try unsafe finish(
      start(
        base, count: values.count, Element.self, peer: destination, tag: 2 * tag, sends: true, what),
      what)
  }

  public func receive<Element: CollectiveElement>(
    _ values: inout MutableSpan<Element>, from source: Int, tag: Int
  ) throws(CollectiveError) {
    let count = values.count
    let what = "receive from rank \(source) of \(count) \(Element.elementName)s"
    try header(count, peer: source, tag: tag, sends: false, what)
    let base = unsafe values.withUnsafeMutableBufferPointer {
      UnsafeMutableRawPointer($0.baseAddress)
    }
    try unsafe finish(
      start(base, count: count, Element.self, peer: source, tag: 2 * tag, sends: false, what), what)
  }

  public func split(color: Int, key: Int) throws(CollectiveError) -> any Communicator {
    try agree(.split, "split")
    var part = unsafe payload
    let status = unsafe cmpi_split(payload, Int32(color), Int32(key), &part)
    guard status == cmpi_success() else { throw Self.failure(status, "split", rank: rank) }
    return try unsafe MPICommunicator(
      duplicating: part, timeoutSeconds: wait.timeoutSeconds, pieceCount: pieceCount)
  }

  public func abort(code: Int32) {
    fflush(nil)
    signal(SIGALRM, SIG_DFL)
    alarm(10)  // Should MPI_Abort not come back, SIGALRM ends the process.
    cmpi_abort(code)
    ProcessEnd.exit(code)
  }

  // MARK: Agreement

  /// Exchanges what every rank is about to do, with each rank apart, so that one that is late is known.
  ///
  /// - Returns: The count of each rank.
  @discardableResult
  private func agree<Element: CollectiveElement>(
    _ kind: CallRecord.OperationKind, _ what: String, _ type: Element.Type = UInt8.self,
    parameter: Int = 0, count: Int = 0, countsMayDiffer: Bool = false
  ) throws(CollectiveError) -> [Int] {
    let record = CallRecord(
      sequence: sequence, operation: kind, element: Int64(Self.type(type)),
      parameter: Int64(parameter), count: Int64(count))
    sequence += 1
    let width = CallRecord.wordCount
    var all = [Int64](repeating: 0, count: width * size)
    all.replaceSubrange(rank * width..<(rank + 1) * width, with: record.words)
    try unsafe all.withUnsafeMutableBufferPointer { (all) throws(CollectiveError) in
      guard let base = all.baseAddress else { return }
      var open: [OpenRequest] = []
      for peer in 0..<size where peer != rank {
        for sends in [false, true] {
          var request = unsafe OpenRequest(peer: peer)
          let status =
            sends
            ? unsafe cmpi_isend(
              base + rank * width, Int32(width), Int32(CMPI_INT64), Int32(peer), 0, records,
              &request.handle)
            : unsafe cmpi_irecv(
              base + peer * width, Int32(width), Int32(CMPI_INT64), Int32(peer), 0, records,
              &request.handle)
          try check(status, what)
          open.append(request)
        }
      }
      try finish(open, what)
    }
    var rows = (0..<size).map { Array(all[$0 * width..<($0 + 1) * width]) }
    let counts = rows.map { Int($0[width - 1]) }
    if countsMayDiffer { for index in rows.indices { rows[index][width - 1] = 0 } }
    if let difference = CallRecord.disagreement(rows) {
      throw CollectiveError(
        code: .disagreement, operation: what, rank: rank, detail: difference)
    }
    return counts
  }

  /// Tells a peer the count that comes, or learns it, before the values move.
  private func header(
    _ count: Int, peer: Int, tag: Int, sends: Bool, _ what: String
  ) throws(CollectiveError) {
    var word = [Int64(count)]
    try unsafe word.withUnsafeMutableBufferPointer { (word) throws(CollectiveError) in
      try unsafe finish(
        start(
          UnsafeMutableRawPointer(word.baseAddress), count: 1, Int64.self, peer: peer,
          tag: 2 * tag + 1, sends: sends, what), what)
    }
    guard word[0] == Int64(count) else {
      throw CollectiveError(
        code: .disagreement, operation: what, rank: rank,
        detail: "rank \(peer) sends \(word[0]) elements where \(count) are expected")
    }
  }

  // MARK: Moving values

  /// A call that MPI has not finished, and the rank it waits for.
  @safe private struct OpenRequest {
    var handle = unsafe cmpi_request()
    /// Nil for a collective: MPI does not say which ranks are late.
    var peer: Int?
  }

  /// Runs a collective on pieces whose counts fit 32 bits.
  private func pieces<Element: CollectiveElement>(
    _ values: inout MutableSpan<Element>, _ what: String,
    _ call: (UnsafeMutableRawPointer?, Int32, inout cmpi_request) -> Int32
  ) throws(CollectiveError) {
    let count = values.count
    let base = unsafe values.withUnsafeMutableBufferPointer { $0.baseAddress }
    for start in stride(from: 0, to: count, by: pieceCount) {
      var request = OpenRequest()
      let pointer = unsafe base.map { unsafe UnsafeMutableRawPointer($0 + start) }
      try check(
        unsafe call(pointer, Int32(min(pieceCount, count - start)), &request.handle), what)
      try finish([request], what)
    }
  }

  private func move<Element: CollectiveElement>(
    _ values: Span<Element>, sending: [Range<Int>], into received: inout MutableSpan<Element>,
    receiving: [Int], _ what: String
  ) throws(CollectiveError) {
    precondition(
      sending.count == size && receiving.count == size
        && received.count == receiving.reduce(0, +), "parts of \(size) ranks")
    let from = unsafe values.withUnsafeBufferPointer { $0.baseAddress }
    let to = unsafe received.withUnsafeMutableBufferPointer { $0.baseAddress }
    var open: [OpenRequest] = []
    var bound = 0
    for peer in 0..<size {
      let part = sending[peer]
      precondition(part.lowerBound >= 0 && part.upperBound <= values.count, "a part out of bounds")
      let target = unsafe to.map { unsafe $0 + bound }
      let source = unsafe from.map { unsafe $0 + part.lowerBound }
      bound += receiving[peer]
      if peer == rank {
        precondition(part.count == receiving[peer], "a rank's own part of two counts")
        if let source = unsafe source, let target = unsafe target {
          unsafe target.update(from: source, count: part.count)
        }
        continue
      }
      open += try unsafe start(
        UnsafeMutableRawPointer(target), count: receiving[peer], Element.self, peer: peer, tag: 0,
        sends: false, what)
      open += try unsafe start(
        UnsafeMutableRawPointer(mutating: source), count: part.count, Element.self, peer: peer,
        tag: 0, sends: true, what)
    }
    try finish(open, what)
  }

  private func start<Element: CollectiveElement>(
    _ base: UnsafeMutableRawPointer?, count: Int, _ type: Element.Type, peer: Int, tag: Int,
    sends: Bool, _ what: String
  ) throws(CollectiveError) -> [OpenRequest] {
    precondition(peer >= 0 && peer < size && peer != rank, "rank \(peer) of \(size)")
    var open: [OpenRequest] = []
    for start in stride(from: 0, to: count, by: pieceCount) {
      var request = unsafe OpenRequest(peer: peer)
      let piece = Int32(min(pieceCount, count - start))
      let pointer = unsafe base.map { unsafe $0 + start * MemoryLayout<Element>.stride }
      let (peer, tag) = (Int32(peer), Int32(tag))
      let status =
        sends
        ? unsafe cmpi_isend(pointer, piece, Self.type(type), peer, tag, payload, &request.handle)
        : unsafe cmpi_irecv(pointer, piece, Self.type(type), peer, tag, payload, &request.handle)
      try check(status, what)
      open.append(request)
    }
    return open
  }

  /// The one place that waits: polls all requests until they are done or the time is over.
  private func finish(_ requests: [OpenRequest], _ what: String) throws(CollectiveError) {
    var open = requests
    WaitText.set(what)
    defer { WaitText.clear() }
    let done = try wait { () throws(CollectiveError) -> Bool in
      var rest: [OpenRequest] = []
      for var request in open {
        var flag: Int32 = 0
        try check(unsafe cmpi_test(&request.handle, &flag), what)
        if flag == 0 { rest.append(request) }
      }
      open = rest
      return rest.isEmpty
    }
    if done { return }
    let late = Set(open.compactMap(\.peer))
    throw CollectiveError(
      code: .timeOut(
        waitingFor: late.isEmpty ? (0..<size).filter { $0 != rank } : late.sorted()),
      operation: what, rank: rank, detail: "\(wait.timeoutSeconds) s")
  }

  private func check(_ status: Int32, _ what: String) throws(CollectiveError) {
    if status != cmpi_success() { throw Self.failure(status, what, rank: rank) }
  }

  private static func failure(_ status: Int32, _ what: String, rank: Int) -> CollectiveError {
    var text = [CChar](repeating: 0, count: Int(cmpi_error_capacity()))
    unsafe cmpi_error_text(status, &text)
    let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return CollectiveError(
      code: .transport(status), operation: what, rank: rank,
      detail: String(decoding: bytes, as: UTF8.self))
  }

  private static func type<Element: CollectiveElement>(_ type: Element.Type) -> Int32 {
    switch type {
    case is Float.Type: Int32(CMPI_FLOAT)
    case is Double.Type: Int32(CMPI_DOUBLE)
    case is Int64.Type: Int32(CMPI_INT64)
    default: Int32(CMPI_BYTE)
    }
  }
}
