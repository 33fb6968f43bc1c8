import Commands
import Diagnostics
import Testing
import Training

/// What the model of a step must do whatever the machine: its limits, and what more of each thing brings.
struct StepModelTests {
  /// One second forward, two backward, with buckets that are final at even distances; update 0.1 s.
  private func model(
    ranks: Int = 4, ranksPerNode: Int = 1, buckets: [Double] = [1e6, 2e6, 3e6],
    bytesPerSecond: Double = 1e8, latency: Double = 0, allRows: Double = 0,
    levels: Bool = false, weights: [Double] = [], pulled: Double = 0, processor: Double = 0,
    kept: Double = 1, besideBytesPerSecond: Double = 1e12,
    notice: Double = 0
  ) -> StepModel {
    let ready = buckets.indices.map { 1 + 2 * Double($0 + 1) / Double(buckets.count) }
    return StepModel(
      compute: StepCompute(
        beforeSeconds: 0.01, forwardSeconds: 1, backwardSeconds: 2, afterSeconds: 0.02,
        optimiserSeconds: 0.1, readySeconds: ready),
      traffic: StepTraffic(
        ranks: ranks, ranksPerNode: ranksPerNode, hasLevels: levels, bucketBytes: buckets,
        weightBytes: weights, ownRows: allRows / 2, pulledRows: pulled, summedRows: allRows,
        rowLength: 16),
      network: NetworkFigures(
        bytesPerSecond: bytesPerSecond, latencySeconds: latency, memoryBytesPerSecond: 1e10,
        processorSecondsPerByte: processor),
      overlap: Overlap(
        keptShare: kept, bytesPerSecond: besideBytesPerSecond, noticeSeconds: notice)
    )
  }

  private func isClose(_ a: Double, _ b: Double) -> Bool {
    abs(a - b) <= 1e-12 * max(abs(a), abs(b))
  }

  @Test func oneRankSendsNothing() {
    let times = model(ranks: 1, latency: 1, allRows: 100).times()
    #expect(isClose(times.seconds, 3.13) && times.bytesSent == 0 && times.notHiddenSeconds == 0)
  }

  @Test func ofBucketsThatGoWhileOthersAreComputedOnlyTheLastIsSeen() {
    // 3 of 4 parts of a bucket, there and back.
    let times = model().times()
    #expect(isClose(times.seconds, 3.13 + 2 * 0.75 * 3e6 / 1e8))
    #expect(times.computeSeconds == 3.13)
    #expect(isClose(times.bytesSent, 2 * 0.75 * 6e6))
  }

  @Test(arguments: [2, 4, 64]) func aSlowNetworkTakesItsBytesAndWhatComesBeforeTheFirst(ranks: Int)
  {
    let rate = 1e3
    let step = model(ranks: ranks, bytesPerSecond: rate).times()
    // Nothing goes before the first bucket is there, the update comes after the last.
    let rest = 0.01 + 1 + 2.0 / 3 + 0.02 + 0.1
    #expect(isClose(step.seconds, step.bytesSent / rate + rest), "\(step)")
  }

  @Test func rowsAreHiddenByNothing() {
    let without = model().times()
    let with = model(allRows: 1000).times()
    let sums: Double = 4 * 1000 * 16
    let lists: Double = 4 * 500 * 3
    let bytes = sums + lists
    #expect(isClose(with.bytesSent - without.bytesSent, bytes))
    #expect(abs(with.seconds - without.seconds - bytes / 1e8) < 1e-12)
  }

  @Test func moreBandwidthIsNeverSlowerAndLessLatencyNeither() {
    var last = Double.infinity
    for exponent in stride(from: 3.0, through: 11, by: 0.25) {
      let time = model(bytesPerSecond: 1e4 * exponent * exponent * exponent, allRows: 100)
        .times().seconds
      #expect(time <= last)
      #expect(time >= 3.13)
      last = time
    }
    #expect(model(latency: 1e-3).times().seconds > model(latency: 1e-4).times().seconds)
  }

  @Test func oneBucketGoesAllInTheOpenAndHalfTheBytesInHalfTheTime() {
    let whole = model(buckets: [6e6]).times()
    let halves = model(buckets: [3e6]).times()
    #expect(isClose(whole.notHiddenSeconds, 0.09))
    #expect(isClose(halves.notHiddenSeconds, 0.045))
    #expect(whole.seconds > model().times().seconds)
  }

  @Test func ranksOfOneNodeShareItsLinkAndReachEachOtherThroughMemory() {
    // All on one node: memory alone. Two a node: each sends 2 of 3 parts outside, over half a link.
    let inside = model(ranks: 4, ranksPerNode: 4, buckets: [6e6]).times()
    #expect(isClose(inside.notHiddenSeconds, 2 * 0.75 * 6e6 / 1e10))
    let two = model(ranks: 4, ranksPerNode: 2, buckets: [6e6]).times()
    #expect(isClose(two.notHiddenSeconds, 2 * 0.75 * 6e6 * 2 / 3 * 2 / 1e8))
    #expect(inside.bytesSent == two.bytesSent)
    // Reduced on each node first, half a bucket of each rank goes over the link, there and back.
    let levels = model(ranks: 4, ranksPerNode: 2, buckets: [6e6], levels: true).times()
    #expect(isClose(levels.notHiddenSeconds, 2 * 0.5 * 6e6 / 1e8))
  }

  @Test func weightsOfSharesComeInBesideTheForwardPass() {
    // Gradients go one way, weights the other: as many bytes, and nothing more is seen while the forward pass is long.
    let plain = model().times()
    let sharded = model(weights: [1e6, 2e6, 3e6]).times()
    #expect(isClose(sharded.bytesSent, plain.bytesSent))
    #expect(isClose(sharded.notHiddenSeconds, plain.notHiddenSeconds / 2))
    // A forward pass of one second waits for weights of 1.5 s.
    let slow = model(weights: [100e6, 100e6]).times()
    #expect(isClose(slow.seconds - sharded.seconds, 0.5), "\(slow) \(sharded)")
    #expect(model(pulled: 100).times().seconds > plain.seconds)
  }

  @Test func computingBesideTransfersIsSlowedByWhatTheyTake() {
    // The first bucket takes 0.45 s of link, all beside computing, which loses a quarter of it.
    let slowed = model(buckets: [30e6, 1], kept: 0.75).times()
    let free = model(buckets: [30e6, 1]).times()
    #expect(abs(slowed.seconds - free.seconds - 0.25 * 2 * 0.75 * 30e6 / 1e8) < 1e-9, "\(slowed)")
    // Nothing is computed while the only bucket moves.
    #expect(model(buckets: [6e6], kept: 0.5).times() == model(buckets: [6e6]).times())
  }

  @Test func transfersBesideComputingAreSlowedUntilItEnds() {
    // A second of computing is left when the first bucket goes. At half the link's rate it needs 1.8 s, of which 1 s
    // passes beside computing; the rest moves in half the time.
    let times = model(buckets: [60e6, 1], besideBytesPerSecond: 0.5e8).times()
    let open = (1.8 - 1) / 2
    #expect(abs(times.notHiddenSeconds - open) < 1e-6, "\(times)")
  }

  @Test func aRankThatComputesNoticesLate() {
    // The first bucket goes beside computing: each of its rounds ends when the last of four ranks has looked.
    let longest = 1 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4
    let late = model(buckets: [90e6, 1], notice: 0.01).times()
    let prompt = model(buckets: [90e6, 1]).times()
    #expect(prompt.notHiddenSeconds > 0.3 && late.seconds > prompt.seconds)
    #expect(late.seconds - prompt.seconds <= 9 * 0.01 * longest + 1e-9, "\(late) \(prompt)")
    #expect(model(buckets: [6e6], notice: 0.01).times() == model(buckets: [6e6]).times())
  }

  @Test func whatTheProcessorCannotMoveItDoesNotMove() {
    // 1e-7 s a byte: ten times slower than the link.
    let times = model(buckets: [6e6], processor: 1e-7).times()
    #expect(isClose(times.notHiddenSeconds, 2 * 0.75 * 6e6 * 1e-7))
  }
}
