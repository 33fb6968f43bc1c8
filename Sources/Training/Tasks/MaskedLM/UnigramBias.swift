import Configuration
import Corpus
import Foundation
import Model
import Tensors

/// The decoder's first bias where `lm_head_bias` is `unigram`: the logarithm of each token's share of what is drawn.
///
/// A fresh model then guesses by frequency from its first step on. From zero AdamW moves a bias by at most the learning rate
/// a step, and short runs end before rare tokens are as unlikely as they are.
struct UnigramBias {
  /// Tokens of each language that are counted at most.
  private static let sample = 1 << 18
  /// What the whole vocabulary shares evenly: tokens that were not seen.
  private static let smoothing = 0.01

  /// By id.
  let values: [Float]

  /// - Parameters:
  ///   - texts: Of the languages that are trained.
  ///   - drawn: The share of each in what is drawn.
  /// - Throws: ``FileError`` naming a shard that is damaged.
  init(_ texts: [PackedText], drawn: [Double], vocabularySize: Int) throws {
    var shares = [Double](repeating: 0, count: vocabularySize)
    for (text, share) in zip(texts, drawn) {
      var counts = [Int](repeating: 0, count: vocabularySize)
      var counted = 0
      var shard = 0
      while shard < text.shardCount, counted < Self.sample {
        let ids = try text.shard(shard)
        for index in 0..<min(ids.count, Self.sample - counted) { counts[Int(ids[index])] += 1 }
        counted += min(ids.count, Self.sample - counted)
        shard += 1
      }
      let scale = share / Double(max(1, counted))
      for (id, count) in counts.enumerated() { shares[id] += scale * Double(count) }
    }
    let rest = Self.smoothing / Double(vocabularySize)
    values = shares.map { Float(log((1 - Self.smoothing) * $0 + rest)) }
  }
}
