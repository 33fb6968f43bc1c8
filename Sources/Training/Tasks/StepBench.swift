public import Configuration
import Corpus
public import Model
public import Tensors
public import Tokenizers

/// Steps of a task on real data that `bench NAME` measures: the work of a plain PyTorch loop, from random weights of a
/// shape.
public protocol StepBench: SendableMetatype {
  associatedtype Method: TrainingMethod

  /// Behind `bench`: `train`.
  static var name: String { get }
  static var summary: String { get }
  /// Those that only this bench has.
  static var options: [Option] { get }

  /// Reads data and tokenizer.
  ///
  /// - Parameters:
  ///   - batchSize: Sequences a step for each rank.
  ///   - steps: Of all ranks alike, those that are not timed included.
  init(_ arguments: ParsedArguments, batchSize: Int, steps: Int, ranks: Int) throws

  var network: any Network { get }
  var method: Method { get }
  /// The rows of tables that the steps will use, if that is known: others stay untouched, as with a mapped checkpoint.
  var tableRows: [Int32]? { get }
  var learningRate: Double { get }
  var tableDecay: AdamW.TableDecay { get }
  /// What the line of results begins with: `shape`, `mini`.
  var facts: [(name: String, value: String)] { get }

  /// The batch of one rank in a step, from 0.
  func batch(step: Int, rank: Int, ranks: Int) -> Method.Batch
}

/// Measured words of the option that every bench has.
public enum BenchOptions {
  /// The files of `--data` and the tokenizer of `--tokenizer`.
  ///
  /// - Throws: ``UsageError`` where one is missing.
  public static func data(
    _ arguments: ParsedArguments
  ) throws -> (files: [String], tokenizer: any Tokenizer) {
    let files = arguments.values("data")
    guard !files.isEmpty, let path = arguments.value("tokenizer") else {
      throw UsageError(
        "--data and --tokenizer are needed", command: "isogloss \(arguments.command)")
    }
    return (files, try TokenizerLoader.load(path))
  }
}
