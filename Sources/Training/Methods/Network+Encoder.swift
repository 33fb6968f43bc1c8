import Model
import Tensors

extension Network {
  /// The shape of the network's encoder.
  var configuration: EncoderConfiguration {
    guard let network = self as? any EncoderNetwork else {
      preconditionFailure("a network without an encoder")
    }
    return network.encoder.configuration
  }

  func depth(ofEntry index: Int) -> Int { layout.entries[index].depth }

  func isHead(entry index: Int) -> Bool { layout.entries[index].group != .encoder }
}
