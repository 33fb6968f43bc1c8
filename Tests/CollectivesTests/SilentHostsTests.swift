import Collectives
import Glibc
import Testing

@Suite struct SilentHostsTests {
  private static let table = """
      sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
       0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0
       1: 01004D0A:9C40 02004D0A:D431 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 20 4
       2: 01004D0A:9C40 03004D0A:A001 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0 20 4
       3: 0100007F:9C40 0200007F:A002 01 00000000:00000000 00:00000000 00000000     0        0 14 1 0 20 4
       4: 01004D0A:9C41 01004D0A:A003 01 00000000:00000000 00:00000000 00000000     0        0 15 1 0 20 4
       5: 01004D0A:9C42 04004D0A:A004 06 00000000:00000000 00:00000000 00000000     0        0 16 1 0 20 4
    """

  /// Listening, loopback, this host's own address and a closed connection do not count, nor do others' sockets.
  @Test func connectionsToOtherHostsAreFound() {
    let all = SilentHosts.peers(
      in: Self.table, ofSockets: ["11", "12", "13", "14", "15", "16"])
    #expect(all.map(\.text) == ["10.77.0.2", "10.77.0.3"])
    #expect(all.map(\.port) == [54321, 40961])
    let one = SilentHosts.peers(in: Self.table, ofSockets: ["13"])
    #expect(one.map(\.text) == ["10.77.0.3"])
    #expect(SilentHosts.peers(in: "", ofSockets: ["13"]).isEmpty)
  }

  /// A host that refuses is up.
  @Test func aHostThatAnswersIsNotSilent() throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        #expect(unsafe bind(listener, $0, length) == 0)
        #expect(listen(listener, 4) == 0)
        #expect(unsafe getsockname(listener, $0, &length) == 0)
      }
    }
    let open = SilentHosts.Peer(
      address: address.sin_addr.s_addr, port: UInt16(bigEndian: address.sin_port))
    let closed = SilentHosts.Peer(address: address.sin_addr.s_addr, port: 1)
    #expect(SilentHosts.silent(of: [open, closed], seconds: 5).isEmpty)
  }

  @Test func whoDoesNotAnswerIsNamed() {
    func text(_ asked: Int, _ silent: [String]) -> String? {
      SilentHosts(asked: asked, silent: silent).text(askedBy: "rank 4 on node02")
    }
    #expect(text(0, []) == nil)
    #expect(text(2, []) == nil)
    #expect(
      text(2, ["rank 1 on node03"])
        == "rank 1 on node03 does not answer: look at that host and its network")
    #expect(text(3, ["a", "b"])?.hasPrefix("a, b do not") == true)
    #expect(text(2, ["a", "b"])?.hasPrefix("rank 4 on node02 reaches none of the other 2") == true)
  }

  @Test func addressesAreNamedByTheirRanks() {
    let nodes = LauncherNodes([
      .init(name: "node01", addresses: [1], ranks: [0]),
      .init(name: "node02", addresses: [2, 7], ranks: [3, 1, 2]),
      .init(name: "node03", addresses: [3], ranks: Array(4..<14)),
      .init(name: "node04", addresses: [7, 5], ranks: []),
      .init(name: "node05", addresses: [3, 8], ranks: [14]),
    ])
    #expect(nodes.text(at: 1) == "rank 0 on node01")
    #expect(nodes.text(at: 7) == "ranks 1, 2, 3 on node02")
    // Of an address that two have, and of one without ranks, nothing is said.
    #expect(nodes.text(at: 3) == nil)
    #expect(nodes.text(at: 5) == nil)
    #expect(
      LauncherNodes([nodes.nodes[2]]).text(at: 3)
        == "ranks 4, 5, 6, 7, 8, 9, 10, 11 and 2 more on node03")
    #expect(LauncherNodes().text(at: 1) == nil)
  }
}
