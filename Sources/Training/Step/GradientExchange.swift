package import Collectives
import Foundation
package import Tensors

/// Adds the dense gradients of all ranks, bucket by bucket, while the backward pass still runs.
///
/// Where each rank updates a share of the weights, it gets the sums of its share alone, and the updated weights go to
/// all ranks while the next forward pass runs.
///
/// A thread of its own makes the collectives, since MPI moves little while nobody calls it. Their order is the same on
/// all ranks, whenever a bucket is ready: gradients from the end of the buffer, where they are there first, to its
/// start, weights the other way. It has a communicator of its own.
@safe package final class GradientExchange: @unchecked Sendable {
  /// A run of trained entries that is reduced at once.
  private struct Bucket {
    var floats: Range<Int>
    var entries: Range<Int>
    /// What each rank owns of it, counted from its start; empty where every rank updates all.
    var parts: [Range<Int>] = []
    /// With two levels, what each rank of a machine reduces with those of its place on other machines, and what each
    /// of these then owns of it, counted from its start.
    var machineParts: [Range<Int>] = []
    var acrossParts: [Range<Int>] = []

    /// A part as floats of the whole buffer.
    func floats(_ part: Range<Int>) -> Range<Int> {
      floats.lowerBound + part.lowerBound..<floats.lowerBound + part.upperBound
    }

    mutating func cut(by levels: Levels, rank: Int) {
      let ranks = levels.machine.size
      if parts.isEmpty {
        machineParts = (0..<ranks).map {
          $0 * floats.count / ranks..<($0 + 1) * floats.count / ranks
        }
        return
      }
      machineParts = (0..<ranks).map { place in
        let members = parts.indices.filter { levels.places[$0].place == place }.map { parts[$0] }
        return members.reduce(members[0]) {
          min($0.lowerBound, $1.lowerBound)..<max($0.upperBound, $1.upperBound)
        }
      }
      let start = machineParts[levels.machine.rank].lowerBound
      acrossParts = parts.indices.filter { levels.places[$0].place == levels.places[rank].place }
        .map { parts[$0].lowerBound - start..<parts[$0].upperBound - start }
    }
  }

  private let communicator: any Communicator
  private let levels: Levels?
  /// What all ranks agree on, once a step, before any payload moves.
  private let gradientPlan: CallPlan
  private let weightPlan: CallPlan
  private let machineSum: Reduction
  private let acrossSum: Reduction
  private let kernels: KernelTable
  /// The shards along whose tree ranks are added.
  private let treeShards: Int
  private let buckets: [Bucket]
  /// The bucket of each entry; nil for tables and for entries that are not trained.
  private let bucketOfEntry: [Int?]
  private let halves: UnsafeMutableBufferPointer<UInt16>

  private let lock = NSCondition()
  // What follows is read and written under the lock.
  private var gradients: GradientBuffer?
  private var digest: GradientDigest?
  private var missing: [Int] = []
  private var lossIsFinite = true
  private var done = 0
  /// Whose weights are being gathered, and the buckets of them, from the last one on, that are there.
  private var weights: ParameterSet?
  private var gathered = 0
  private var failure: CollectiveError?
  private var isStopping = false
  private var transfers: [Transfer] = []
  private var gradientIsFinite = true

  /// When a bucket was on its way.
  package struct Transfer: Sendable {
    package var name: String
    /// By ``Profile/now()``.
    package var start: Double
    package var seconds: Double
  }

  /// What each rank updates; nil where every rank updates all.
  package let shares: [OptimiserShare]?
  /// The bytes that a step sends from this rank.
  package let bytesPerStep: Int
  /// The seconds for which the last step waited here when its own work was done.
  package private(set) var exposedSeconds = 0.0

  /// Whether this rank's own part of the gradient of the last step was finite, before it was added to that of others.
  package var ownGradientIsFinite: Bool { lock.withLock { gradientIsFinite } }

  /// - Parameters:
  ///   - communicator: Used by this exchange alone.
  ///   - levels: Those of the communicator, to reduce on each machine first where that follows the tree; used by this
  ///     exchange alone.
  ///   - treeShards: The shards along whose tree ranks are added.
  ///   - isSharded: Whether each rank is to update a share of the weights.
  ///   - bucketBytes: Buckets end with the entry that fills so many bytes of fp32.
  package init(
    _ communicator: any Communicator, levels: Levels? = nil, layout: ParameterLayout,
    trained: [Bool],
    kernels: KernelTable,
    treeShards: Int, type: Precision, bucketBytes: Int, isSharded: Bool = false
  ) {
    self.communicator = communicator
    let sums = levels?.sums(alongTreeOver: treeShards)
    let levels = sums == nil ? nil : levels
    self.levels = levels
    let groups = levels.map { [$0.machine, $0.across] } ?? []
    gradientPlan = CallPlan("gradients", of: communicator, and: groups)
    weightPlan = CallPlan("weights", of: communicator, and: groups)
    machineSum = sums?.machine ?? .sum
    acrossSum = sums?.across ?? .sum
    self.kernels = kernels
    self.treeShards = treeShards
    let cut = GradientBuckets(layout: layout, trained: trained, bucketBytes: bucketBytes)
    bucketOfEntry = cut.ofEntry
    var buckets = cut.buckets.map { Bucket(floats: $0.floats, entries: $0.entries) }
    let size = communicator.size
    let rank = communicator.rank
    let floats = buckets.reduce(0) { $0 + $1.floats.count }
    let gradientBytes = type == .bf16 ? 2 : 4
    if isSharded {
      // Ranks of one place on their machines have neighbouring parts.
      let order = levels.map { levels in
        (0..<size).sorted {
          let (left, right) = (levels.places[$0], levels.places[$1])
          return (left.place, left.machine) < (right.place, right.machine)
        }
      }
      var owned = [Int](repeating: 0, count: size)
      for index in buckets.indices {
        let start = buckets[index].floats.lowerBound
        let parts = layout.shares(ofEntries: buckets[index].entries, owned: &owned)
          .map { $0.lowerBound - start..<$0.upperBound - start }
        buckets[index].parts = parts
        for (place, rank) in (order ?? []).enumerated() {
          buckets[index].parts[rank] = parts[place]
        }
      }
      let own = buckets.reduce(0) { $0 + $1.parts[rank].count }
      bytesPerStep = (floats - own) * gradientBytes + own * (size - 1) * 4
      shares = (0..<size).map { rank in
        let runs = buckets.reversed().map { bucket in
          bucket.floats(bucket.parts[rank])
        }
        return OptimiserShare(
          rank: rank, ranks: size, runs: runs.filter { !$0.isEmpty }, layout: layout)
      }
    } else {
      bytesPerStep = 2 * (size - 1) * floats * gradientBytes / size
      shares = nil
    }
    if let levels {
      for index in buckets.indices { buckets[index].cut(by: levels, rank: rank) }
    }
    self.buckets = buckets
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
  ///
  /// - Parameter digest: Told each bucket's entries before they are summed.
  package func begin(_ gradients: GradientBuffer, digest: GradientDigest? = nil) {
    lock.withLock {
      self.gradients = gradients
      self.digest = digest
      lossIsFinite = true
      gradientIsFinite = true
      missing = buckets.map(\.entries.count)
      done = 0
    }
  }

  /// This rank's loss is not finite: no rank is to send gradients. To be told before any entry is final.
  package func lossIsNotFinite() { lock.withLock { lossIsFinite = false } }

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

  // MARK: Weights of shares

  /// Begins to give every rank the weights that each has updated. Until the next ``finish()`` or ``finishWeights()``
  /// nothing may write to them.
  package func gather(_ weights: ParameterSet) {
    lock.withLock {
      self.weights = weights
      gathered = 0
      lock.broadcast()
    }
  }

  /// Waits until the weights of some entries are there, or until it is known that they will not be: what they wait for
  /// is a collective, which has a time-out.
  package func waitForWeights(_ entries: Range<Int>) {
    lock.lock()
    defer { lock.unlock() }
    for entry in entries {
      guard let bucket = bucketOfEntry[entry] else { continue }
      while weights != nil, gathered < buckets.count - bucket, failure == nil { lock.wait() }
    }
  }

  /// Waits until all weights are there.
  package func finishWeights() throws(CollectiveError) {
    lock.lock()
    while weights != nil, failure == nil { lock.wait() }
    let failure = failure
    lock.unlock()
    if let failure { throw failure }
  }

  // MARK: The thread

  private enum Work {
    case sum(Int, GradientBuffer, GradientDigest?)
    case gather(Int, ParameterSet)
  }

  private func work() {
    while let work = next() {
      let start = Profile.now()
      do throws(CollectiveError) {
        switch work {
        case .sum(let bucket, let gradients, let digest):
          if bucket == 0 {
            try gradientPlan.begin(notFinite: lock.withLock { !lossIsFinite })
          }
          digest?.note(buckets[bucket].entries, of: gradients)
          try sum(buckets[bucket], of: gradients)
          if bucket == buckets.count - 1 { try gradientPlan.end() }
          end("bucket \(bucket)", since: start) { done += 1 }
        case .gather(let bucket, let weights):
          if bucket == buckets.count - 1 { try weightPlan.begin() }
          try gather(buckets[bucket], of: weights)
          if bucket == 0 { try weightPlan.end() }
          end("weights \(bucket)", since: start) { gathered += 1 }
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

  private func end(_ name: String, since start: Double, _ count: () -> Void) {
    lock.withLock {
      transfers.append(Transfer(name: name, start: start, seconds: Profile.now() - start))
      count()
      lock.broadcast()
    }
  }

  /// The next bucket in order, once it is ready; nil when there will be none.
  private func next() -> Work? {
    lock.lock()
    defer { lock.unlock() }
    while true {
      if isStopping { return nil }
      if let weights {
        if gathered < buckets.count { return .gather(buckets.count - 1 - gathered, weights) }
        // Let go of, so that the next update need not copy them.
        self.weights = nil
        lock.broadcast()
      }
      if let gradients, done < buckets.count, missing[done] == 0 {
        return .sum(done, gradients, digest)
      }
      lock.wait()
    }
  }

  private func gather(_ bucket: Bucket, of weights: ParameterSet) throws(CollectiveError) {
    guard let levels else {
      try weights.withDense(bucket.floats) { (span) throws(CollectiveError) in
        try communicator.allGather(&span, ranges: bucket.parts)
      }
      return
    }
    let own = bucket.machineParts[levels.machine.rank]
    try weights.withDense(bucket.floats(own)) { (span) throws(CollectiveError) in
      try levels.across.allGather(&span, ranges: bucket.acrossParts)
    }
    try weights.withDense(bucket.floats) { (span) throws(CollectiveError) in
      try levels.machine.allGather(&span, ranges: bucket.machineParts)
    }
  }

  private func sum(_ bucket: Bucket, of gradients: GradientBuffer) throws(CollectiveError) {
    gradients.withDense(bucket.floats) { span in
      if !kernels.areFinite(span.span) { lock.withLock { gradientIsFinite = false } }
    }
    guard let base = unsafe halves.baseAddress, unsafe !halves.isEmpty else {
      try sum(bucket) {
        (part, body: (inout MutableSpan<Float>) throws(CollectiveError) -> Void)
          throws(CollectiveError) in
        try gradients.withDense(bucket.floats(part), body)
      }
      return
    }
    let count = bucket.floats.count
    var room = unsafe MutableSpan(_unsafeStart: base, count: count)
    gradients.withDense(bucket.floats) { span in kernels.round(span.span, to: &room) }
    let words = unsafe UnsafeMutableRawPointer(base).assumingMemoryBound(to: BFloat16.self)
    try sum(bucket) {
      (part, body: (inout MutableSpan<BFloat16>) throws(CollectiveError) -> Void)
        throws(CollectiveError) in
      var span = unsafe MutableSpan(_unsafeStart: words + part.lowerBound, count: part.count)
      try body(&span)
    }
    gradients.withDense(bucket.floats) { span in kernels.widen(room.span, to: &span) }
  }

  /// Sums a bucket, of which `access` gives a part to write to.
  private func sum<E: ReducibleElement>(
    _ bucket: Bucket,
    _ access: (Range<Int>, (inout MutableSpan<E>) throws(CollectiveError) -> Void)
      throws(CollectiveError) -> Void
  ) throws(CollectiveError) {
    let all = 0..<bucket.floats.count
    guard let levels else {
      let sum = Reduction.treeSum(shards: treeShards)
      try access(all) { (span) throws(CollectiveError) in
        if bucket.parts.isEmpty {
          try communicator.allReduce(&span, sum)
        } else {
          try communicator.reduceScatter(&span, ranges: bucket.parts, sum)
        }
      }
      return
    }
    try access(all) { (span) throws(CollectiveError) in
      try levels.machine.reduceScatter(&span, ranges: bucket.machineParts, machineSum)
    }
    try access(bucket.machineParts[levels.machine.rank]) { (span) throws(CollectiveError) in
      if bucket.parts.isEmpty {
        try levels.across.allReduce(&span, acrossSum)
      } else {
        try levels.across.reduceScatter(&span, ranges: bucket.acrossParts, acrossSum)
      }
    }
    if !bucket.parts.isEmpty { return }
    try access(all) { (span) throws(CollectiveError) in
      try levels.machine.allGather(&span, ranges: bucket.machineParts)
    }
  }
}
