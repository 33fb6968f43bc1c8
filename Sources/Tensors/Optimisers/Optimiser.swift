/// How weights follow gradients: an algorithm with its numbers, and the norm to which gradients are clipped first.
///
/// The one value that the loop over steps, an inner loop and a measurement of either share.
public struct Optimiser: Sendable, Equatable {
  public enum Algorithm: Sendable, Equatable {
    case adamW(AdamW)
    case sgd(SGD)

    var rule: any UpdateRule {
      switch self {
      case .adamW(let rule): rule
      case .sgd(let rule): rule
      }
    }

    /// The algorithm's name in files, such as `adamw`.
    public var name: String { type(of: rule).name }
    /// The names in files of the moments that the algorithm keeps of each weight, as PyTorch has them.
    public var momentNames: [String] { type(of: rule).momentNames }
  }

  public var algorithm: Algorithm
  /// The norm that a gradient has at most once it is clipped; 0 for no clipping.
  public var maxNorm: Double

  public init(_ algorithm: Algorithm, maxNorm: Double = 0) {
    precondition(maxNorm >= 0, "a largest norm of \(maxNorm)")
    self.algorithm = algorithm
    self.maxNorm = maxNorm
  }

  /// The factor that clips a gradient of this norm, as PyTorch's `clip_grad_norm_` has it:
  /// `min(1, maxNorm / (norm + 1e-6))`, or 1 without clipping.
  public func gradientScale(norm: Double) -> Float {
    Float(maxNorm > 0 ? min(1, maxNorm / (norm + 1e-6)) : 1)
  }

  /// Updates each trained parameter of the state's share by its clipped gradient. The algorithm decides which rows of
  /// tables are updated.
  ///
  /// Where a copy of the weights or of the state lives, the parts about to change are copied first. Where the set shares the
  /// weights of another one, trained entries and updated rows become its own.
  ///
  /// - Parameters:
  ///   - state: Of the same algorithm.
  ///   - norm: The norm of the whole gradient, finite: see ``GradientBuffer/norm(in:)``. Without clipping it is not read.
  ///   - rates: The learning rate and the weight decay of each entry of the layout.
  public func update(
    _ parameters: inout ParameterSet, _ gradients: GradientBuffer, _ state: inout OptimiserState,
    norm: Double, rates: [(learningRate: Double, weightDecay: Double)], in workspace: Workspace
  ) {
    algorithm.rule.update(
      &parameters, gradients, &state, gradientScale: gradientScale(norm: norm), rates: rates,
      in: workspace)
  }
}

/// An algorithm that updates weights in place.
protocol UpdateRule: Sendable {
  static var name: String { get }
  static var momentNames: [String] { get }

  func update(
    _ parameters: inout ParameterSet, _ gradients: GradientBuffer, _ state: inout OptimiserState,
    gradientScale: Float, rates: [(learningRate: Double, weightDecay: Double)],
    in workspace: Workspace)
}
