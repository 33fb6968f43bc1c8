import Files

/// One pass over a language's text: threads work on its blocks, results come in the blocks' order.
///
/// An error comes after the results of the blocks before it.
final class TextPass<Output: Sendable> {
  typealias Input = (block: TextBlock, duplicates: [Int])
  /// What a thread does with a block; made once for each thread.
  typealias Work = (TextBlock, [Int]) throws(FileError) -> Output

  private var blocks: TextBlocks
  private let pool: OrderedPool<Input, Result<Output, FileError>>
  private var failure: FileError?
  private var isAtEnd = false
  private let sizes: [Int]
  /// How much of the sources' files was read, from 0 to 1.
  var share: Double {
    let before = sizes.prefix(blocks.position.source).reduce(0, +) + blocks.fileBytesRead
    return min(1, Double(before) / Double(max(1, sizes.reduce(0, +))))
  }

  init(
    _ plan: PackingPlan, from position: TextPosition, makeWork: @escaping @Sendable () -> Work
  ) {
    blocks = TextBlocks(plan.inputs, from: position, blockBytes: plan.blockBytes)
    sizes = plan.inputs.map { path in
      (try? OpenFile(input: path).size()) ?? 0
    }
    pool = OrderedPool(threads: plan.threads) {
      let work = makeWork()
      return { input in
        Result { () throws(FileError) in try work(input.block, input.duplicates) }
      }
    }
  }

  /// The result of the next block; nil after the last one.
  func next(without duplicates: DuplicateList? = nil) throws(FileError) -> Output? {
    while !isAtEnd, pool.inFlight < pool.capacity {
      do throws(FileError) {
        if let block = try blocks.next() {
          let end = block.start.ordinal + block.lineCount
          pool.submit((block, try duplicates?.next(below: end) ?? []))
        } else {
          isAtEnd = true
        }
      } catch {
        failure = error
        isAtEnd = true
      }
    }
    if pool.inFlight > 0 { return try pool.take().get() }
    if let failure { throw failure }
    return nil
  }

  /// Ends the threads.
  func stop() { pool.stop() }
}
