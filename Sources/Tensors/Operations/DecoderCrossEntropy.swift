internal import CKernels
import Glibc

extension Tape {
  /// The outputs of a decoder that are worked on at once. Sums over them follow this cut, so it is the same always.
  package static let decoderColumns = 2048

  /// Cross entropy of `x·Eᵀ + b` over a vocabulary, in nats, summed and not averaged: the loss of a masked language
  /// model, whose decoder E is its word table.
  ///
  /// `Σ lse(z[t]) − z[t, y[t]]` with `z = x·Eᵀ + b`. Of z no more than ``decoderColumns`` columns exist at a time; the
  /// backward pass makes them again.
  ///
  /// Cost: one product of `rows × vocabulary × columns` forward, and three backward; memory of `rows ×`
  /// ``decoderColumns`` floats.
  ///
  /// - Parameters:
  ///   - x: Shape `[rows, columns]`, every row scored.
  ///   - table: E, shape `[vocabulary, columns]`; not one of those that are used by rows.
  ///   - bias: b, shape `[vocabulary]`.
  ///   - targets: y, shape `[rows]`, each in the vocabulary.
  @discardableResult
  public func decoderCrossEntropy(
    _ x: Tensor, _ table: Parameter, _ bias: Parameter, targets: [Int32],
    named name: String = "cross_entropy"
  ) -> LossTerm {
    precondition(x.columns == table.columns, "\(x.columns) columns for \(table.columns)")
    precondition(bias.count == table.rows, "a bias of another width")
    precondition(targets.count == x.rows, "\(targets.count) targets, \(x.rows) rows")
    precondition(
      targets.allSatisfy { $0 >= 0 && Int($0) < table.rows }, "a target out of \(table.rows)")
    precondition(
      !parameters.layout.entries[table.entries.lowerBound].isTable, "a decoder is used as a whole")
    let space = x.space
    let decoder = unsafe Decoder(
      table: weights(of: table), bias: weights(of: bias), vocabulary: table.rows,
      isRounded: isRounded(table))
    let scores = unsafe workspace.arena.take(space.count * Self.decoderColumns)
    var normalisers = [Normaliser](repeating: Normaliser(), count: space.count)
    var picked = [Float](repeating: 0, count: space.count)
    let flops = 2 * Double(space.count) * Double(table.count)
    let operation = "decoder \(x.columns) → \(table.rows)"
    workspace.measured(operation, flops: flops, isRounded: decoder.isRounded) {
      unsafe forEachPart(of: decoder, x, scores) { columns in
        unsafe normalisers.withUnsafeMutableBufferPointer { normalisers in
          forEachBlock(of: space) { rows in
            for row in rows {
              unsafe kernels.pointee.softmax_part(
                scores + row * columns.count, columns.count, &normalisers[row].largest,
                &normalisers[row].sum)
            }
          }
        }
        for (row, target) in targets.enumerated() where columns.contains(Int(target)) {
          unsafe picked[row] = scores[row * columns.count + Int(target) - columns.lowerBound]
        }
      }
    }
    var sums = [Double](repeating: 0, count: space.segmentCount)
    for segment in 0..<space.segmentCount {
      for row in space.segmentBounds[segment]..<space.segmentBounds[segment + 1] {
        sums[segment] +=
          Double(normalisers[row].largest) + log(normalisers[row].sum) - Double(picked[row])
      }
    }
    let counts = zip(space.segmentBounds, space.segmentBounds.dropFirst()).map { Double($1 - $0) }
    let term = LossTerm(name: name, segmentSums: sums, segmentWeights: counts)
    record(term)
    guard gradients != nil, x.needsGradient || isTrained(table) || isTrained(bias) else {
      return term
    }
    record(
      operation, writing: [table, bias], flops: 3 * flops, isRounded: decoder.isRounded
    ) { [self, normalisers] in
      guard let gradients, term.seed != 0 else { return }
      // A sum over segments must take each segment's whole gradient of the table, its embedding's too, which is formed
      // last: the table's part then waits for it, and the scores are made once more.
      let waits = x.space.segmentCount > 1 && gradients.isTrained(table)
      let dx = unsafe x.needsGradient ? claimGradient(x) : nil
      let dw = unsafe gradients.isTrained(table) && !waits ? gradients.claim(table) : nil
      let db = unsafe gradients.isTrained(bias) ? gradients.claim(bias) : nil
      unsafe forEachPart(of: decoder, x, scores) { columns in
        let width = columns.count
        unsafe differentiate(scores, columns, targets, normalisers, seed: term.seed, of: space)
        let start = columns.lowerBound * x.columns
        unsafe productBackward(
          x, decoder.table + start, outputs: width, isRounded: decoder.isRounded, scores,
          dx: dx.map { unsafe ($0.pointer, $0.adds || columns.lowerBound > 0) },
          dw: dw.map { unsafe ($0.pointer + start, $0.adds) })
        if let db = unsafe db {
          unsafe foldColumns(
            of: space, width, into: (db.pointer + columns.lowerBound, db.adds)
          ) { rows, part, sum in
            unsafe kernels.pointee.column_sums(
              sum, scores + rows.lowerBound * width + part.lowerBound, rows.count, part.count,
              width)
          }
        }
      }
      if waits {
        let finish = { [self] (uses: EmbeddingUses?) in
          let target = unsafe gradients.claim(table)
          unsafe forEachPart(of: decoder, x, scores) { columns in
            unsafe differentiate(
              scores, columns, targets, normalisers, seed: term.seed, of: space)
            unsafe tableGradient(
              x, scores, columns, uses, isRounded: decoder.isRounded,
              into: (target.pointer + columns.lowerBound * x.columns, target.adds))
          }
        }
        if hasOtherWriters(table) {
          tiedDecoders[table.entries.lowerBound] = finish
        } else {
          finish(nil)
        }
      }
    }
    return term
  }

  /// From scores of some outputs to their gradient, in place.
  private func differentiate(
    _ scores: UnsafeMutablePointer<Float>, _ columns: Range<Int>, _ targets: [Int32],
    _ normalisers: [Normaliser], seed: Float, of space: RowSpace
  ) {
    forEachBlock(of: space) { rows in
      for row in rows {
        let scores = unsafe scores + row * columns.count
        let factor = Float(Double(seed) / normalisers[row].sum)
        unsafe kernels.pointee.softmax_scaled(
          scores, columns.count, normalisers[row].largest, factor)
        if columns.contains(Int(targets[row])) {
          unsafe scores[Int(targets[row]) - columns.lowerBound] -= seed
        }
      }
    }
  }

  /// The gradient of some rows of the table, summed over segments: of each what the decoder and then what the
  /// embedding gives.
  private func tableGradient(
    _ x: Tensor, _ dy: UnsafeMutablePointer<Float>, _ columns: Range<Int>, _ uses: EmbeddingUses?,
    isRounded: Bool, into target: (pointer: UnsafeMutablePointer<Float>, adds: Bool)
  ) {
    let inputs = x.columns
    let bounds = x.space.segmentBounds
    let tokens = uses?.space ?? x.space
    precondition(
      tokens.segmentCount == x.space.segmentCount, "tokens and guesses in other segments")
    var segmentOfToken: [Int: Int] = [:]
    for (segment, (lower, upper)) in zip(
      tokens.segmentBounds, tokens.segmentBounds.dropFirst()
    ).enumerated() where lower < upper { segmentOfToken[lower] = segment }
    // As many as a product without segments takes, whose bits may follow that.
    let height = weightTiles(outputs: columns.count, inputs: inputs)[0].outputs.count
    let foldScratch = SegmentFold.scratch(
      count: height * inputs, segments: x.space.segmentCount * 2)
    workspace.reserveScratch(foldScratch + inputs)
    let mark = workspace.arena.mark
    let sums = unsafe RowSums(
      dy, columns.count, x.base, inputs, x.space, isRounded: isRounded, on: self)
    let all = 0..<columns.count
    pool.run(all.partCount(of: height)) { task, worker in
      let part = all.part(task, of: height)
      let scratch = unsafe workspace.scratch(of: worker)
      let fold = unsafe SegmentFold(
        space: tokens, height: part.count, width: inputs, kernels: kernels)
      unsafe fold(
        into: target.pointer + part.lowerBound * inputs, stride: inputs, adds: target.adds,
        scratch: scratch
      ) { tokens, sum, stride in
        let segment = segmentOfToken[tokens.lowerBound] ?? 0
        let rows = bounds[segment]..<bounds[segment + 1]
        if rows.isEmpty {
          for row in 0..<part.count {
            unsafe (sum + row * stride).update(repeating: 0, count: inputs)
          }
        } else {
          unsafe sums(rows, part, 0..<inputs, sum, stride)
        }
        let words = columns.lowerBound + part.lowerBound..<columns.lowerBound + part.upperBound
        unsafe uses?.add(
          segment: segment, words, to: sum, stride: stride, scratch: scratch + foldScratch,
          kernels)
      }
    }
    workspace.arena.rewind(to: mark)
  }

  /// Makes the scores of all rows for some outputs after the others, `[rows, outputs]`, and calls `body` with each.
  private func forEachPart(
    of decoder: Decoder, _ x: Tensor, _ scores: UnsafeMutablePointer<Float>,
    _ body: (_ columns: Range<Int>) -> Void
  ) {
    let inputs = x.columns
    let mark = workspace.arena.mark
    let left = unsafe rowFactor(x.base, x.space, depth: inputs, isRounded: decoder.isRounded)
    let all = 0..<decoder.vocabulary
    for part in 0..<all.partCount(of: Self.decoderColumns) {
      let columns = all.part(part, of: Self.decoderColumns)
      let product = unsafe Product(
        left,
        RightFactor(
          base: decoder.table + columns.lowerBound * inputs, stride: inputs, isTransposed: true),
        depth: inputs, columns: columns.count, into: scores)
      let tiles = tiles(of: product, x.space)
      pool.run(tiles.count) { task, worker in
        let strip = tiles[task].columns
        multiply(product, tiles[task], worker) { rows in
          unsafe kernels.pointee.add_bias(
            scores + rows.lowerBound * columns.count + strip.lowerBound,
            decoder.bias + columns.lowerBound + strip.lowerBound, rows.count, strip.count,
            columns.count)
        }
      }
      body(columns)
    }
    workspace.arena.rewind(to: mark)
  }
}

/// The matrix and bias of a decoder.
@safe private struct Decoder {
  let table: UnsafePointer<Float>
  let bias: UnsafePointer<Float>
  let vocabulary: Int
  let isRounded: Bool

  init(
    table: UnsafePointer<Float>, bias: UnsafePointer<Float>, vocabulary: Int, isRounded: Bool
  ) {
    unsafe self.table = table
    unsafe self.bias = bias
    self.vocabulary = vocabulary
    self.isRounded = isRounded
  }
}

/// A softmax's denominator: `exp(largest) · sum`.
private struct Normaliser {
  var largest = -Float.infinity
  var sum = 0.0
}
