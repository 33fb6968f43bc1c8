public import Tensors

/// The entries of a layout that an analysis looks at together: those of one depth whose names begin alike.
public struct ModelLayer: Sendable, Equatable {
  /// What their names begin with, and the depth where several layers begin so: `embedding`, `word_lstm 2`.
  public var name: String
  /// Ascending.
  public var entries: [Int]

  /// The layers of a model, in the order of their first entries. Each entry is in one.
  public static func all(of layout: ParameterLayout) -> [ModelLayer] {
    var layers: [(first: String, depth: Int, entries: [Int])] = []
    for (index, entry) in layout.entries.enumerated() {
      let first = String(entry.name.prefix { $0 != "." })
      if let place = layers.firstIndex(where: { $0.first == first && $0.depth == entry.depth }) {
        layers[place].entries.append(index)
      } else {
        layers.append((first, entry.depth, [index]))
      }
    }
    return layers.map { layer in
      let isAlone = layers.count { $0.first == layer.first } == 1
      return ModelLayer(
        name: isAlone ? layer.first : "\(layer.first) \(layer.depth)", entries: layer.entries)
    }
  }
}
