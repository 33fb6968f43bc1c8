/// Which published encoder a model is built as; they differ in positions, special ids and names.
public enum EncoderFamily: String, Sendable, Codable, CaseIterable {
  case bert
  case roberta
  case xlmRoberta = "xlm-roberta"

  /// What `transformers` puts before the name of an encoder's parameter in a model with a head.
  public var parameterPrefix: String { self == .bert ? "bert." : "roberta." }
}
