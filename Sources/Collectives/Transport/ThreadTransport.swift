import Glibc
import Synchronization

/// The first error of a group of threads, which all its parts share.
final class Outcome: Sendable {
  private let isFailed = Atomic(false)
  private let error = Mutex<(error: any Error, rank: Int)?>(nil)

  var first: (error: any Error, rank: Int)? { error.withLock { $0 } }

  func fail(_ newError: any Error, rank: Int) {
    error.withLock { if $0 == nil { $0 = (newError, rank) } }
    isFailed.store(true, ordering: .releasing)
  }

  /// Throws if a rank has failed.
  func check() throws(TransportFailure) {
    guard isFailed.load(ordering: .acquiring), let (error, rank) = first else { return }
    throw TransportFailure(code: .aborted, detail: "rank \(rank) failed first: \(error)")
  }
}

/// A message in the memory of its sender, until the receiver has copied it.
@safe final class Message: Sendable {
  nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
  let isDone = Atomic(false)

  init(_ bytes: UnsafeRawBufferPointer) {
    unsafe self.bytes = bytes
  }
}

/// The messages from one rank to another on one channel.
///
/// Sends and receives are numbered as they start, and a receive takes the send of its number.
final class Mailbox: Sendable {
  private let state = Mutex(State())

  private struct State {
    var messages: [(number: Int, message: Message)] = []
    var sendCount = 0
    var receiveCount = 0
  }

  func put(_ message: Message) {
    state.withLock { state in
      state.messages.append((state.sendCount, message))
      state.sendCount += 1
    }
  }

  /// The number of the next receive.
  func nextReceive() -> Int {
    state.withLock { state in
      defer { state.receiveCount += 1 }
      return state.receiveCount
    }
  }

  func take(_ number: Int) -> Message? {
    state.withLock { state in
      state.messages.firstIndex { $0.number == number }.map {
        state.messages.remove(at: $0).message
      }
    }
  }

  /// False if the receiver has taken the message already.
  func withdraw(_ message: Message) -> Bool {
    state.withLock { state in
      guard let index = state.messages.firstIndex(where: { $0.message === message }) else {
        return false
      }
      state.messages.remove(at: index)
      return true
    }
  }
}

/// What the threads of a group share.
final class ThreadHub: Sendable {
  let size: Int
  let ranksPerMachine: Int
  let outcome: Outcome
  private let mailboxes: [Mailbox]
  private let parts = Mutex<[Part]>([])

  /// A group made by a split, until all its members have come for it.
  private struct Part {
    var sequence: UInt64
    var color: Int
    var hub: ThreadHub
    var missing: Int
  }

  init(size: Int, ranksPerMachine: Int, outcome: Outcome) {
    self.size = size
    self.ranksPerMachine = ranksPerMachine
    self.outcome = outcome
    mailboxes = (0..<(2 * size * size)).map { _ in Mailbox() }
  }

  func mailbox(from sender: Int, to receiver: Int, _ channel: Channel) -> Mailbox {
    mailboxes[(sender * size + receiver) * 2 + (channel == .agreement ? 0 : 1)]
  }

  /// The same hub for each of the `count` ranks that ask with the same sequence and color.
  func part(sequence: UInt64, color: Int, count: Int) -> ThreadHub {
    parts.withLock { parts in
      if let index = parts.firstIndex(where: { $0.sequence == sequence && $0.color == color }) {
        let hub = parts[index].hub
        parts[index].missing -= 1
        if parts[index].missing == 0 { parts.remove(at: index) }
        return hub
      }
      let hub = ThreadHub(size: count, ranksPerMachine: count, outcome: outcome)
      if count > 1 {
        parts.append(Part(sequence: sequence, color: color, hub: hub, missing: count - 1))
      }
      return hub
    }
  }
}

/// Messages between threads: the receiver copies from the sender's memory.
struct ThreadTransport: Transport {
  let hub: ThreadHub
  let rank: Int

  var size: Int { hub.size }

  @safe enum Request {
    case send(Message, Mailbox)
    case receive(UnsafeMutableRawBufferPointer, Mailbox, number: Int)
  }

  func startSend(_ bytes: UnsafeRawBufferPointer, to peer: Int, on channel: Channel) -> Request {
    let message = unsafe Message(bytes)
    let mailbox = hub.mailbox(from: rank, to: peer, channel)
    mailbox.put(message)
    return .send(message, mailbox)
  }

  func startReceive(
    into bytes: UnsafeMutableRawBufferPointer, from peer: Int, on channel: Channel
  ) -> Request {
    let mailbox = hub.mailbox(from: peer, to: rank, channel)
    return unsafe .receive(bytes, mailbox, number: mailbox.nextReceive())
  }

  func isDone(_ request: inout Request) throws(TransportFailure) -> Bool {
    switch request {
    case .send(let message, _):
      if message.isDone.load(ordering: .acquiring) { return true }
    case .receive(let bytes, let mailbox, let number):
      if let message = mailbox.take(number) {
        precondition(unsafe message.bytes.count == bytes.count, "a message of another length")
        unsafe bytes.copyMemory(from: message.bytes)
        message.isDone.store(true, ordering: .releasing)
        return true
      }
    }
    try hub.outcome.check()
    return false
  }

  func cancel(_ request: inout Request) {
    guard case .send(let message, let mailbox) = request, !mailbox.withdraw(message) else {
      return
    }
    // The receiver copies at this moment, and the memory must stay until it is done.
    while !message.isDone.load(ordering: .acquiring) { sched_yield() }
  }

  func split(sequence: UInt64, color: Int, members: [Int]) -> ThreadTransport {
    let part = hub.part(sequence: sequence, color: color, count: members.count)
    return ThreadTransport(hub: part, rank: members.firstIndex(of: rank) ?? 0)
  }

  func splitByMachine(sequence: UInt64) -> ThreadTransport {
    let machine = rank / hub.ranksPerMachine
    let first = machine * hub.ranksPerMachine
    return split(
      sequence: sequence, color: machine,
      members: Array(first..<min(first + hub.ranksPerMachine, size)))
  }

  func abort(code: Int32) -> Never { endProcess(code: code) }
}
