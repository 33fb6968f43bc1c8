package import Collectives
import Foundation
package import Tensors

/// How gradients travel between ranks.
public enum GradientType: String, Sendable {
  case fp32
  /// Rounded to bf16 by each rank; summed in fp32 by the rank that owns the element, and rounded once more.
  case bf16
}

/// Adds the dense gradients of all ranks, bucket by bucket, while the backward pass still runs.
///
/// A thread of its own makes the collectives, since MPI moves little while nobody calls it. Their order is the same on
/// all ranks, whenever a bucket is ready: from the end of the buffer, whose gradients are there first, to its start.
/// It has a communicator of its own.
@safe package final class GradientExchange: @unchecked Sendable {
  /// A run of trained entries that is reduced at once.
  private struct Bucket {
    var floats: Range<Int>
    var entries: Int
  }

  private let communicator: any Communicator
  private let kernels: KernelTable
  /// The shards along whose tree ranks are added; nil where the order of the ranks will do.
  private let treeShards: Int?
  private let buckets: [Bucket]
  /// The bucket of each entry; nil for tables and for entries that are not trained.
  private let bucketOfEntry: [Int?]
  private let halves: UnsafeMutableBufferPointer<UInt16>

  private let lock = NSCondition()
  // What follows is read and written under the lock.
  private var gradients: GradientBuffer?
  private var missing: [Int] = []
  private var done = 0
  private var failure: CollectiveError?
  private var isStopping = false
  private var transfers: [Transfer] = []

  /// When a bucket was on its way.
  package struct Transfer: Sendable {
    package var bucket: Int
    /// By ``Profile/now()``.
    package var start: Double
    package var seconds: Double
  }

  /// The bytes of gradient that a step hands to the exchange.
  package let bytesPerStep: Int
  /// The seconds for which the last step waited here when its own work was done.
  package private(set) var exposedSeconds = 0.0

  /// - Parameters:
  ///   - communicator: Used by this exchange alone.
  ///   - bucketBytes: Buckets end with the entry that fills so many bytes of fp32.
  package init(
    _ communicator: any Communicator, layout: ParameterLayout, trained: [Bool],
    kernels: KernelTable,
    treeShards: Int?, type: GradientType, bucketBytes: Int
  ) {
    self.communicator = communicator
    self.kernels = kernels
    self.treeShards = treeShards
    var buckets: [Bucket] = []
    var bucketOfEntry = [Int?](repeating: nil, count: layout.entries.count)
    var isOpen = false
    for (index, entry) in layout.entries.enumerated().reversed() {
      guard trained[index], !entry.isTable else {
        isOpen = false
        continue
      }
      if isOpen {
        let last = buckets.count - 1
        buckets[last].floats = entry.offset..<buckets[last].floats.upperBound
        buckets[last].entries += 1
      } else {
        buckets.append(
          Bucket(floats: entry.offset..<entry.offset + entry.count, entries: 1))
      }
      bucketOfEntry[index] = buckets.count - 1
      isOpen = buckets[buckets.count - 1].floats.count * MemoryLayout<Float>.stride < bucketBytes
    }
    self.buckets = buckets
    self.bucketOfEntry = bucketOfEntry
    let floats = buckets.reduce(0) { $0 + $1.floats.count }
    bytesPerStep = floats * (type == .bf16 ? 2 : 4)
    unsafe halves = .allocate(
      capacity: type == .bf16 ? buckets.reduce(0) { max($0, $1.floats.count) } : 0)
    Thread.detachNewThread { [self] in work() }
  }

  deinit { unsafe halves.deallocate() }

  /// Ends the thread, which holds this object.
  package func stop() {
    lock.withLock {
      isStopping = true
      lock.broadcast()
    }
  }

  /// Takes up a step whose gradients will be left in `gradients`.
  package func begin(_ gradients: GradientBuffer) {
    lock.withLock {
      self.gradients = gradients
      missing = buckets.map(\.entries)
      done = 0
    }
  }

  /// Nothing will write to this entry any more. Told once a step of each.
  package func isFinal(_ entry: Int) {
    guard let bucket = bucketOfEntry[entry] else { return }
    lock.withLock {
      missing[bucket] -= 1
      if missing[bucket] == 0 { lock.broadcast() }
    }
  }

  /// Waits until all buckets, every entry of which is final, hold the sums over all ranks.
  ///
  /// - Returns: When each of them was on its way.
  @discardableResult package func finish() throws(CollectiveError) -> [Transfer] {
    let start = Profile.now()
    lock.lock()
    // Whatever a bucket waits for beyond this is a collective, which has a time-out.
    precondition(missing.allSatisfy { $0 == 0 }, "buckets with entries that are not final")
    while done < buckets.count, failure == nil { lock.wait() }
    gradients = nil
    let failure = failure
    let transfers = transfers
    self.transfers = []
    lock.unlock()
    exposedSeconds = Profile.now() - start
    if let failure { throw failure }
    return transfers
  }

  // MARK: The thread

  private func work() {
    while let (bucket, gradients) = next() {
      let start = Profile.now()
      do throws(CollectiveError) {
        try sum(bucket.floats, of: gradients)
        lock.withLock {
          transfers.append(
            Transfer(bucket: done, start: start, seconds: Profile.now() - start))
          done += 1
          lock.broadcast()
        }
      } catch {
        lock.withLock {
          failure = error
          lock.broadcast()
        }
        return
      }
    }
  }

  /// The next bucket in order, once it is ready; nil when there will be none.
  private func next() -> (Bucket, GradientBuffer)? {
    lock.lock()
    defer { lock.unlock() }
    while true {
      if isStopping { return nil }
      if let gradients, done < buckets.count, missing[done] == 0 {
        return (buckets[done], gradients)
      }
      lock.wait()
    }
  }

  private func sum(
    _ floats: Range<Int>, of gradients: GradientBuffer
  ) throws(CollectiveError) {
    try gradients.withDense(floats) { (span) throws(CollectiveError) in
      if unsafe halves.isEmpty {
        if let treeShards {
          try communicator.allReduceSumInTreeOrder(&span, shards: treeShards)
        } else {
          try communicator.allReduce(&span, .sum)
        }
        return
      }
      let count = floats.count
      guard let base = unsafe halves.baseAddress else { return }
      var room = unsafe MutableSpan(_unsafeStart: base, count: count)
      kernels.round(span.span, to: &room)
      let words = unsafe UnsafeMutableRawPointer(base).assumingMemoryBound(to: BFloat16.self)
      var elements = unsafe MutableSpan(_unsafeStart: words, count: count)
      if let treeShards {
        try communicator.allReduceSumInTreeOrder(&elements, shards: treeShards)
      } else {
        try communicator.allReduce(&elements, .sum)
      }
      kernels.widen(room.span, to: &span)
    }
  }
}
