import Corpus
import Determinism
import TestSupport
import Testing

private let counts = [57, 5, 0, 20]

private func sampling(
  _ alpha: Double, seed: UInt64 = 3, stage: Int = 0, counts: [Int] = counts,
  stepSize: StageSampling.StepSize = .sentences(8), tokenCounts: [[Int32]] = []
) -> StageSampling {
  StageSampling(
    seed: seed, stage: stage, sentenceCounts: counts, alpha: alpha, stepSize: stepSize,
    tokenCounts: tokenCounts)
}

@Suite struct SamplingTests {
  @Test(arguments: [0, 0.3, 0.5, 1, 2.0])
  func drawsAreExactlyAsPlanned(alpha: Double) {
    let sampling = sampling(alpha)
    #expect(sampling.drawsPerEpoch.reduce(0, +) == counts.reduce(0, +))
    #expect(abs(sampling.plannedShares.reduce(0, +) - 1) < 1e-12)
    var seen = counts.map { [Int](repeating: 0, count: $0) }
    for epoch in 0..<9 {
      let plan = EpochPlan(sampling, epoch: epoch)
      var drawn = [Int](repeating: 0, count: counts.count)
      for draw in plan.draws {
        drawn[draw.language] += 1
        seen[draw.language][draw.index] += 1
      }
      #expect(drawn == sampling.drawsPerEpoch)
      // One stream over all epochs: no sentence is a pass ahead of another.
      for (language, times) in seen.enumerated() where !times.isEmpty {
        let passes = (epoch + 1) * sampling.drawsPerEpoch[language]
        #expect(
          times.allSatisfy {
            $0 == passes / times.count || $0 == (passes + times.count - 1) / times.count
          })
      }
    }
  }

  @Test func naturalSharesDrawEachSentenceOncePerEpoch() {
    for counts in [[57, 5, 0, 20], [14041, 12152, 8323, 15806], [1], [3, 7, 11, 13, 999_983]] {
      #expect(sampling(1, counts: counts).drawsPerEpoch == counts)
    }
    let plan = EpochPlan(sampling(1), epoch: 4)
    #expect(Set(plan.draws).count == plan.draws.count && plan.draws.count == 82)
  }

  @Test func equalSharesDifferByOneAtMost() {
    #expect(sampling(0).drawsPerEpoch == [28, 27, 0, 27])
  }

  @Test func largestRemaindersAreServedFirst() {
    #expect(Apportionment.parts(of: 10, by: [1, 1, 1]) == [4, 3, 3])
    #expect(Apportionment.parts(of: 7, by: [0.5, 0.3, 0.2]) == [4, 2, 1])
    #expect(Apportionment.parts(of: 2, by: [0, 1, 1, 1]) == [0, 1, 1, 0])
  }

  @Test func stepsFollowFromSeedStageAndEpochAlone() {
    let base = EpochPlan(sampling(0.5), epoch: 2)
    #expect(base == EpochPlan(sampling(0.5), epoch: 2))
    #expect(base.draws != EpochPlan(sampling(0.5), epoch: 3).draws)
    #expect(base.draws != EpochPlan(sampling(0.5, seed: 4), epoch: 2).draws)
    #expect(base.draws != EpochPlan(sampling(0.5, stage: 1), epoch: 2).draws)
  }

  /// The draws of an independent program that follows the definition; other draws here are other batches in
  /// every run, and a resumed run would not go on as it began.
  @Test func drawsAreThoseOfTheDefinition() {
    // α = ½ over 9 and 1 sentences: 7.5 and 2.5 of 10 draws, so 8 and 2.
    let plan = EpochPlan(sampling(0.5, counts: [9, 1]), epoch: 2)
    #expect(plan.draws.map(\.language) == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0])
    #expect(plan.draws.map(\.index) == [1, 5, 7, 2, 0, 0, 3, 8, 6, 1])
    let natural = EpochPlan(sampling(1, stage: 1, counts: [4, 3]), epoch: 5)
    #expect(natural.draws.map(\.language) == [0, 1, 0, 0, 1, 0, 1])
    #expect(natural.draws.map(\.index) == [3, 2, 0, 2, 0, 1, 1])
  }

  @Test func stepsHoldTheirNumberOfSentences() {
    let plan = EpochPlan(sampling(1), epoch: 0)
    #expect((0..<plan.stepCount).map { plan[$0].count } == [Int](repeating: 8, count: 10) + [2])
    #expect((0..<plan.stepCount).flatMap { plan[$0] } == plan.draws)
  }

  @Test func stepsHoldTheirNumberOfTokens() {
    var random = RandomStream(seed: 1, "tokens")
    let tokens = counts.map { (0..<$0).map { _ in Int32(3 + random.below(60)) } }
    let plan = EpochPlan(sampling(0.5, stepSize: .tokens(50), tokenCounts: tokens), epoch: 1)
    #expect((0..<plan.stepCount).flatMap { plan[$0] } == plan.draws)
    let sizes = (0..<plan.stepCount).map { step in
      plan[step].reduce(0) { $0 + Int(tokens[$1.language][$1.index]) }
    }
    for step in 0..<plan.stepCount {
      #expect(!plan[step].isEmpty)
      #expect(sizes[step] <= 50 || plan[step].count == 1)
      if step + 1 < plan.stepCount, let next = plan[step + 1].first {
        #expect(sizes[step] + Int(tokens[next.language][next.index]) > 50)
      }
    }
  }

  @Test(arguments: [true, false])
  func aStageIsItsEpochsInOrder(bySentences: Bool) {
    var random = RandomStream(seed: 1, "tokens")
    let tokens = counts.map { (0..<$0).map { _ in Int32(3 + random.below(60)) } }
    let sampling =
      bySentences
      ? sampling(0.5) : sampling(0.5, stepSize: .tokens(100), tokenCounts: tokens)
    var steps: [[ItemReference]] = []
    var places: [[Int]] = []
    for epoch in 0..<4 {
      let plan = EpochPlan(sampling, epoch: epoch)
      steps += (0..<plan.stepCount).map { Array(plan[$0]) }
      places += (0..<plan.stepCount).map { [epoch, $0] }
    }
    var order = Array(steps.indices)
    var plan = StagePlan(sampling)
    for step in order { #expect(Array(plan.sentences(ofStep: step)) == steps[step]) }
    var jumping = StagePlan(sampling)
    random.shuffle(&order)
    for step in order {
      #expect(Array(jumping.sentences(ofStep: step)) == steps[step])
      let (epoch, index) = jumping.place(ofStep: step)
      #expect([epoch, index] == places[step])
      var drawn = counts.map { _ in 0 }
      for draw in steps[..<step].joined() { drawn[draw.language] += 1 }
      #expect(jumping.drawCounts(steps: step) == drawn)
    }
    var fresh = StagePlan(sampling)
    #expect(fresh.stepCount(epochs: 4) == steps.count)
    let first = EpochPlan(sampling, epoch: 0).stepCount
    #expect(fresh.stepCount(epochs: 0.5) == (first + 1) / 2)
    #expect(fresh.firstStep(ofEpoch: 1) == first)
  }
}
