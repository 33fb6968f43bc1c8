import Glibc

/// The hosts that this process's launcher has connections with, and which of them do not answer.
///
/// While MPI starts, ranks cannot ask each other; what the kernel knows of the launcher's connections (`/proc/net/tcp`) is
/// all there is. A host is asked for a new connection: one that takes it or refuses it is up.
package struct SilentHosts {
  package struct Peer: Hashable {
    /// As the kernel has them: the address in network order, the port in the machine's.
    package var address: UInt32
    package var port: UInt16

    package init(address: UInt32, port: UInt16) {
      self.address = address
      self.port = port
    }

    package var text: String {
      (0..<4).map { String(address >> (8 * UInt32($0)) & 0xFF) }.joined(separator: ".")
    }
  }

  /// How many hosts were asked.
  var asked: Int
  /// Those that did not answer: their ranks and names, `rank 2 on node03`, or `host` and the address.
  var silent: [String]

  package init(asked: Int, silent: [String]) {
    self.asked = asked
    self.silent = silent
  }

  /// What to say of them, behind the words that somebody is missing; nil if all answered, or there was none to ask.
  ///
  /// - Parameter own: Who asked, `rank 0 on node01`: where several do not answer and none does, it is the one cut off.
  package func text(askedBy own: String) -> String? {
    switch silent.count {
    case 0: nil
    case asked where asked > 1:
      "\(own) reaches none of the other \(asked) hosts: look at the network of its host first"
    case 1: "\(silent[0]) does not answer: look at that host and its network"
    default:
      "\(silent.prefix(5).joined(separator: ", ")) do not answer: look at those hosts and their network"
    }
  }

  /// Asks the hosts that the launcher is connected with. Takes up to `seconds`.
  ///
  /// - Parameter job: PMIx's name of the job, if there is one.
  static func find(ofJob job: String?, seconds: Double) -> SilentHosts {
    let end = monotonicSeconds() + seconds
    let question = LauncherNodes.ask(ofJob: job)
    let peers = launcherPeers()
    // One connection a host will do.
    var hosts: [UInt32: Peer] = [:]
    for peer in peers { hosts[peer.address] = hosts[peer.address] ?? peer }
    let silent = silent(of: Array(hosts.values), seconds: seconds)
    if silent.isEmpty { return SilentHosts(asked: hosts.count, silent: []) }
    // Names may have to come from a server that does not answer either.
    let nodes = question.wait(seconds: max(0.1, end - monotonicSeconds()))
    var texts: [String] = []
    for peer in silent.sorted(by: { $0.text < $1.text }) {
      let text = nodes.text(at: peer.address) ?? "host \(peer.text)"
      if !texts.contains(text) { texts.append(text) }
    }
    return SilentHosts(asked: hosts.count - silent.count + texts.count, silent: texts)
  }

  // MARK: Connections

  /// The connections of the nearest of this process's ancestors that has any to another host.
  private static func launcherPeers() -> [Peer] {
    let table = file("/proc/net/tcp")
    var process = getppid()
    for _ in 0..<16 where process > 1 {
      let peers = peers(in: table, ofSockets: sockets(of: process))
      if !peers.isEmpty { return peers }
      process = parent(of: process)
    }
    return []
  }

  /// The other ends of established connections of IPv4 to other hosts, whose sockets have these numbers.
  package static func peers(in table: String, ofSockets sockets: Set<String>) -> [Peer] {
    table.split(separator: "\n").dropFirst().compactMap { line in
      // sl local remote state queues timer retransmits uid timeout inode …
      let fields = line.split(separator: " ")
      guard fields.count > 9, fields[3] == "01", sockets.contains(String(fields[9])) else {
        return nil
      }
      let (local, remote) = (fields[1].split(separator: ":"), fields[2].split(separator: ":"))
      guard local.count == 2, remote.count == 2, local[0] != remote[0],
        let address = UInt32(remote[0], radix: 16), let port = UInt16(remote[1], radix: 16),
        address & 0xFF != 127
      else { return nil }
      return Peer(address: address, port: port)
    }
  }

  /// The numbers of the sockets that a process has open, as far as this user may look.
  private static func sockets(of process: Int32) -> Set<String> {
    let folder = "/proc/\(process)/fd"
    guard let directory = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(directory) }
    var sockets: Set<String> = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      var target = [CChar](repeating: 0, count: 64)
      let count = unsafe readlink("\(folder)/\(name)", &target, target.count)
      let text = String(
        decoding: target.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if text.hasPrefix("socket:["), text.hasSuffix("]") {
        sockets.insert(String(text.dropFirst(8).dropLast()))
      }
    }
    return sockets
  }

  private static func parent(of process: Int32) -> Int32 {
    // `PID (name) STATE PARENT …`, where the name may hold anything.
    let text = file("/proc/\(process)/stat")
    guard let end = text.lastIndex(of: ")") else { return 0 }
    let fields = text[end...].split(separator: " ")
    return fields.count > 2 ? Int32(fields[2]) ?? 0 : 0
  }

  private static func file(_ path: String) -> String {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while content.count < 1 << 24 {
      let count = unsafe read(descriptor, &buffer, buffer.count)
      if count <= 0 { break }
      content += buffer[..<count]
    }
    return String(decoding: content, as: UTF8.self)
  }

  // MARK: Asking

  /// Those of `peers` that neither take nor refuse a connection within `seconds`.
  package static func silent(of peers: [Peer], seconds: Double) -> [Peer] {
    var waiting: [(peer: Peer, socket: Int32)] = []
    var silent: [Peer] = []
    for peer in peers {
      let descriptor = socket(
        AF_INET,
        Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
        0)
      guard descriptor >= 0 else { continue }
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = peer.port.bigEndian
      address.sin_addr.s_addr = peer.address
      let result = unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      if result == 0 || errno == EINPROGRESS {
        waiting.append((peer, descriptor))
      } else {
        if errno != ECONNREFUSED { silent.append(peer) }
        close(descriptor)
      }
    }
    let end = monotonicSeconds() + seconds
    while !waiting.isEmpty, monotonicSeconds() < end {
      var polled = waiting.map { pollfd(fd: $0.socket, events: Int16(POLLOUT), revents: 0) }
      _ = unsafe poll(&polled, nfds_t(polled.count), 50)
      for index in polled.indices.reversed() where polled[index].revents != 0 {
        let (peer, descriptor) = waiting.remove(at: index)
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        if code != 0, code != ECONNREFUSED { silent.append(peer) }
        close(descriptor)
      }
    }
    for (peer, descriptor) in waiting {
      silent.append(peer)
      close(descriptor)
    }
    return silent
  }
}
