public import Files

/// How many of the most important weights several Fisher diagonals share, layer by layer.
///
/// The important weights of a diagonal are the top `percent` of a layer by value; of equal values those that stand first.
/// An overlap is the share of one set that is in the other, from 0 to 1; chance gives `percent / 100`.
public struct FisherOverlap: Sendable {
  /// The overlaps of one layer at one size.
  public struct Cell: Sendable {
    public var layer: String
    public var weights: Int
    public var percent: Int
    /// Between the diagonals `i` and `j`, `[files, files]`.
    public var pairs: [[Double]]
    /// Of each diagonal, the mean of its overlaps with the others; empty of one.
    public var meanOfPairs: [Double]
    /// Of each diagonal, the overlap with the mean of the others' values; empty of one.
    public var pooled: [Double]
    /// Of each diagonal, the overlap with the one of the same language after training went on; nil where there is none.
    public var after: [Double?]
  }

  public let languages: [String]
  /// By layer, then by size.
  public let cells: [Cell]

  /// - Parameters:
  ///   - files: Of one model, each of another language.
  ///   - later: Of models that were trained on from it, matched by language.
  ///   - percents: From 1 to 100.
  /// - Throws: ``FileError`` if the diagonals are of other shapes, or two of one language.
  public init(
    _ files: [FisherFile], after later: [FisherFile] = [], percents: [Int]
  ) throws(FileError) {
    precondition(percents.allSatisfy { (1...100).contains($0) }, "sizes of \(percents) %")
    for group in [files, later] {
      for (place, file) in group.enumerated() {
        if let first = files.first, !file.hasShape(of: first) {
          throw FileError(.data, file.path, "is of a model of another shape than \(first.path)")
        }
        if let other = group[..<place].first(where: { $0.language == file.language }) {
          throw FileError(.data, file.path, "is of \(file.language), as \(other.path) is")
        }
      }
    }
    languages = files.map(\.language)
    var cells: [Cell] = []
    for layer in files.first.map({ $0.layers.indices }) ?? 0..<0 {
      var values: [[Float]] = []
      for file in files { values.append(try file.values(ofLayer: layer)) }
      var afterwards: [[Float]?] = []
      for file in files {
        let other = later.first { $0.language == file.language }
        afterwards.append(try other?.values(ofLayer: layer))
      }
      let rest = files.count > 1 ? values.indices.map { Self.meanOfOthers(values, but: $0) } : []
      for percent in percents {
        let sets = values.map { Self.top(percent, of: $0) }
        let pairs = sets.map { one in sets.map { Self.share(one, in: $0) } }
        cells.append(
          Cell(
            layer: files[0].layers[layer].name, weights: values[0].count, percent: percent,
            pairs: pairs,
            meanOfPairs: files.count > 1
              ? pairs.indices.map { (pairs[$0].reduce(0, +) - 1) / Double(files.count - 1) } : [],
            pooled: zip(sets, rest).map { Self.share($0, in: Self.top(percent, of: $1)) },
            after: zip(sets, afterwards).map { set, other in
              other.map { Self.share(set, in: Self.top(percent, of: $0)) }
            }))
      }
    }
    self.cells = cells
  }

  /// Whether each value is among the largest `percent` of a hundred, one at least.
  static func top(_ percent: Int, of values: [Float]) -> [Bool] {
    let count = max(1, values.count * percent / 100)
    let last = MagnitudeRank(values.count - count) { $0(values.span) }
    // Those above the smallest that belongs to them, and of those equal to it the first ones.
    var ties = count - (values.count - last.below - last.equal)
    return values.map { value in
      let bits = value.magnitude.bitPattern
      if bits != last.bits { return bits > last.bits }
      ties -= 1
      return ties >= 0
    }
  }

  private static func share(_ one: [Bool], in other: [Bool]) -> Double {
    Double(zip(one, other).count { $0 && $1 }) / Double(max(1, one.count { $0 }))
  }

  private static func meanOfOthers(_ values: [[Float]], but own: Int) -> [Float] {
    values[own].indices.map { index in
      let sum = values.indices.reduce(0) { $0 + ($1 == own ? 0 : Double(values[$1][index])) }
      return Float(sum / Double(values.count - 1))
    }
  }
}
