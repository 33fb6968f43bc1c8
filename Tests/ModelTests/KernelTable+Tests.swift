import Model
import Tensors
import Training

extension KernelTable {
  /// The table that `ISOGLOSS_KERNELS` names, or the best one.
  static var forTests: KernelTable {
    do { return try chosen() } catch { fatalError("\(error)") }
  }
}

extension TrainedModel {
  /// The network of a model that is one of token classification.
  var classifier: TokenClassifier {
    guard let classifier = network as? TokenClassifier else {
      preconditionFailure("\(type(of: network)) is no token classifier")
    }
    return classifier
  }
}
