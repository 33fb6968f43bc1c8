/// The ids of packed text, documents one after the other.
public protocol TokenSource: Sendable {
  var count: Int { get }
  /// The id that closes every document.
  var documentEnd: Int32 { get }
  subscript(_ index: Int) -> Int32 { get }
}
