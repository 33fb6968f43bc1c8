import Glibc
import Synchronization

/// The hosts of this job and their ranks, as the launcher's PMIx knows them before MPI has started.
///
/// Open MPI brings that library into the process where it was built with one that is not its own, as Debian's is; MPI_Init
/// connects it with the daemon of this host, and what it is asked here needs no network. Without it nothing is known.
package struct LauncherNodes: Sendable {
  package struct Node: Sendable {
    /// As the launcher has it: a host's name, or an address.
    package var name: String
    /// Of IPv4, in network order.
    package var addresses: [UInt32]
    package var ranks: [Int]

    package init(name: String, addresses: [UInt32], ranks: [Int]) {
      self.name = name
      self.addresses = addresses
      self.ranks = ranks
    }
  }

  package var nodes: [Node] = []

  package init(_ nodes: [Node] = []) { self.nodes = nodes }

  /// Who is at an address: `rank 2 on node03`; nil if that is not known.
  package func text(at address: UInt32) -> String? {
    let found = nodes.filter { $0.addresses.contains(address) && !$0.ranks.isEmpty }
    // Of an address that two hosts have nothing is known.
    guard found.count == 1, let node = found.first else { return nil }
    let shown = node.ranks.sorted().prefix(8).map(String.init).joined(separator: ", ")
    let rest = node.ranks.count > 8 ? " and \(node.ranks.count - 8) more" : ""
    return "\(node.ranks.count == 1 ? "rank" : "ranks") \(shown)\(rest) on \(node.name)"
  }

  /// A question that was asked, and may be answered.
  final class Question: Sendable {
    fileprivate let answer = Mutex(LauncherNodes())
    fileprivate let answered = Alarm()

    /// The answer, or as much of it as has come after `seconds`.
    func wait(seconds: Double) -> LauncherNodes {
      _ = answered.sleep(seconds: seconds)
      return answer.withLock { $0 }
    }
  }

  /// Asks on a thread of its own: the library and the resolver of names take no time-out.
  ///
  /// - Parameter job: PMIx's name of it, which is read before MPI starts and changes the environment; nil without PMIx.
  static func ask(ofJob job: String?) -> Question {
    let question = Question()
    let thread = startThread(stackBytes: 1 << 18) {
      if let job {
        find(ofJob: job) { node in question.answer.withLock { $0.nodes.append(node) } }
      }
      question.answered.ring()
    }
    if let thread { pthread_detach(thread) } else { question.answered.ring() }
    return question
  }

  // MARK: PMIx

  private typealias Nodes =
    @convention(c) (
      UnsafePointer<CChar>, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    ) -> Int32
  private typealias Peers =
    @convention(c) (
      UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeMutablePointer<UnsafeMutableRawPointer?>,
      UnsafeMutablePointer<Int>
    ) -> Int32

  /// `pmix_proc_t`: the job's name in 256 characters, and the rank.
  private static let processBytes = 260
  private static let rankPlace = 256

  private static func find(ofJob job: String, _ body: (Node) -> Void) {
    guard job.utf8.count < rankPlace,
      let library = unsafe dlopen("libpmix.so.2", RTLD_LAZY | RTLD_NOLOAD),
      let first = unsafe dlsym(library, "PMIx_Resolve_nodes"),
      let second = unsafe dlsym(library, "PMIx_Resolve_peers")
    else { return }
    let resolveNodes = unsafe unsafeBitCast(first, to: Nodes.self)
    let resolvePeers = unsafe unsafeBitCast(second, to: Peers.self)
    var list: UnsafeMutablePointer<CChar>?
    guard unsafe resolveNodes(job, &list) == 0, let list = unsafe list else { return }
    defer { unsafe free(list) }
    for name in unsafe String(cString: list).split(separator: ",").prefix(4096).map(String.init) {
      var processes: UnsafeMutableRawPointer?
      var count = 0
      guard unsafe resolvePeers(name, job, &processes, &count) == 0,
        let processes = unsafe processes
      else { continue }
      let ranks = (0..<count).map {
        unsafe Int(
          processes.loadUnaligned(
            fromByteOffset: $0 * processBytes + rankPlace, as: UInt32.self))
      }
      unsafe free(processes)
      body(Node(name: name, addresses: addresses(of: name), ranks: ranks))
    }
  }

  private static func addresses(of name: String) -> [UInt32] {
    var hints = unsafe addrinfo()
    unsafe hints.ai_family = AF_INET
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var first: UnsafeMutablePointer<addrinfo>?
    guard unsafe getaddrinfo(name, nil, &hints, &first) == 0 else { return [] }
    defer { unsafe freeaddrinfo(first) }
    var addresses: [UInt32] = []
    var next = unsafe first
    while let entry = unsafe next {
      if let address = unsafe entry.pointee.ai_addr {
        unsafe address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
          unsafe addresses.append($0.pointee.sin_addr.s_addr)
        }
      }
      unsafe next = entry.pointee.ai_next
    }
    return addresses
  }
}
