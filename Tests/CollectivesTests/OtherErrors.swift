import Collectives
import Synchronization

/// The codes with which ranks have left, in no order.
final class OtherErrors: Sendable {
  private let list = Mutex<[CollectiveError.Code]>([])

  var codes: [CollectiveError.Code] { list.withLock { $0 } }

  func add(_ code: CollectiveError.Code) { list.withLock { $0.append(code) } }
}
