import Determinism
import Dispatch
import Synchronization

/// Resamples of the sentences, or documents, of one or several languages.
///
/// Random numbers are named by seed, language and round: results are the same whatever the threads.
package struct Resampling: Sendable {
  private let rounds: Int
  private let seed: UInt64

  package init(rounds: Int, seed: UInt64) {
    self.rounds = rounds
    self.seed = seed
  }

  /// The scores of every round's bootstrap sample: as many units as there are, drawn with replacement, and as many runs
  /// of the paired ones: the same seeds in all languages, since one model may have labelled them all. Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
  ///
  /// - Parameter stream: Names the random numbers: a language's place.
  package func bootstrap(_ rows: PairedRows, stream: Int) -> [PairedScores] {
    parallel { round in
      var random = RandomWords(seed: seed, "bootstrap", .number(stream), .number(round))
      var seeds = RandomWords(seed: seed, "seeds", .number(round))
      let runs = (0..<rows.seeds).map { _ in seeds.below(rows.seeds) }
      let drawn = (0..<rows.units).lazy.map { _ in random.below(rows.units) }
      return PairedScores(sums: rows.sums(of: drawn), seeds: runs, of: rows.seeds)
    }
  }

  /// The difference of every round in which each unit's outputs were given to the systems at random: all runs of a
  /// unit change sides together. Noreen, "Computer-Intensive Methods for Testing Hypotheses", 1989; Yeh, COLING 2000.
  package func swaps(_ rows: PairedRows, stream: Int) -> [Double] {
    let swaps = UnitSwaps(rows)
    return parallel { round in
      var random = RandomWords(seed: seed, "swap", .number(stream), .number(round))
      var bits: UInt32 = 0
      return swaps.difference { unit in
        bits = unit % 32 == 0 ? random.next() : bits >> 1
        return bits & 1 == 1
      }
    }
  }

  private func parallel<Result: Sendable>(
    _ body: @Sendable (Int) -> Result
  ) -> [Result] {
    let parts = min(rounds, 64)
    let found = Mutex<[[Result]]>([[Result]](repeating: [], count: parts))
    DispatchQueue.concurrentPerform(iterations: parts) { part in
      let own = (rounds * part / parts..<rounds * (part + 1) / parts).map(body)
      found.withLock { $0[part] = own }
    }
    return found.withLock { $0.flatMap(\.self) }
  }
}
