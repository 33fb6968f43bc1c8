import Foundation

/// A drawing in SVG of a few forms. Colours are variables of the page, so that it is read in light and dark.
///
/// One rule for axes: they end at round numbers behind what is drawn; those of lines and bars begin at 0 where no value is
/// below it, those of dots and slopes show the values alone.
struct Plot {
  /// A line, or the dots of a row.
  struct Series {
    var name: String
    /// Which colour: lines of one thing over several seeds share it.
    var color: Int
    var points: [(x: Double, y: Double)]
  }

  static let colors = 8
  private static let width = 640.0

  /// Lines over steps. Each is thinned to some hundred points: of each stretch the least and the largest are kept.
  static func lines(_ series: [Series], title: String, x: String, y: String) -> HTML {
    let series = series.map { series in
      var series = series
      series.points = thinned(series.points.filter { $0.y.isFinite })
      return series
    }.filter { !$0.points.isEmpty }
    guard !series.isEmpty else { return .none }
    let all = series.flatMap(\.points)
    let height = 272.0
    let across = Axis(all.map(\.x), from: 92, to: width - 28)
    let up = Axis(all.map(\.y), from: height - 52, to: 12)
    var shapes = axes(across, up, x: x, y: y, height: height)
    for line in series {
      let points = line.points.map { "\(short(across[$0.x])),\(short(up[$0.y]))" }
      let color = "var(--c\(line.color % colors))"
      shapes.append(
        line.points.count == 1
          ? dot(across[line.points[0].x], up[line.points[0].y], 3, color)
          : .element(
            "polyline",
            [
              "points": points.joined(separator: " "), "fill": "none", "stroke": color,
              "stroke-width": "1.5", "stroke-linejoin": "round",
            ]))
    }
    let last = series.map { "\($0.name): \(label($0.points[$0.points.count - 1].y))" }
    return figure(
      shapes, height: height, title: title,
      description: "\(y) over \(x); at the end " + last.prefix(12).joined(separator: ", "),
      legend: legend(series.map { ($0.name, $0.color) }))
  }

  /// A row of dots with an interval.
  struct Row {
    var name: String
    var color: Int
    var value: Double
    var interval: ClosedRange<Double>?
    /// Smaller dots: seeds.
    var others: [Double] = []
  }

  /// Values with intervals, a row each.
  ///
  /// - Parameters:
  ///   - zero: Whether the axis has to reach 0.
  ///   - axisOf: The rows that the axis is made for, where several plots share one.
  static func intervals(
    _ rows: [Row], title: String, x: String, zero: Bool = false, axisOf: [Row]? = nil
  ) -> HTML {
    guard !rows.isEmpty else { return .none }
    let block = 44.0
    let height = block * Double(rows.count) + 60
    let all = (axisOf ?? rows).flatMap { row in
      [row.value] + row.others
        + (row.interval.map { [$0.lowerBound, $0.upperBound] } ?? [])
    }
    let across = Axis(all + (zero ? [0] : []), from: 36, to: width - 36, beginsAtZero: false)
    var shapes = axis(across, at: height - 52, title: x, top: 4)
    if zero { shapes.append(line(across[0], 4, across[0], height - 52, "var(--text)", 1)) }
    for (place, row) in rows.enumerated() {
      let top = block * Double(place)
      let middle = top + 32
      let color = "var(--c\(row.color % colors))"
      shapes.append(label(row.name, 4, top + 18, anchor: "start"))
      if let interval = row.interval {
        shapes.append(
          line(across[interval.lowerBound], middle, across[interval.upperBound], middle, color, 3))
      }
      for value in row.others { shapes.append(ring(across[value], middle, color)) }
      shapes.append(dot(across[row.value], middle, 5, color))
    }
    let words = rows.map { row in
      "\(row.name): \(label(row.value))"
        + (row.interval.map { ", \(label($0.lowerBound)) to \(label($0.upperBound))" } ?? "")
    }
    return figure(
      shapes, height: height, title: title, description: words.joined(separator: "; "))
  }

  /// Bars side by side for each name: a colour a series.
  static func bars(_ names: [String], _ series: [(name: String, values: [Double])], title: String)
    -> HTML
  {
    guard !names.isEmpty, !series.isEmpty else { return .none }
    let thick = 18.0
    let block = thick * Double(series.count) + 30
    let height = block * Double(names.count) + 44
    let left = 16.0
    let across = Axis(series.flatMap(\.values), from: left, to: width - 80)
    var shapes = axis(across, at: height - 36, title: "", top: 4)
    for (place, name) in names.enumerated() {
      let top = block * Double(place)
      shapes.append(label(name, left, top + 18, anchor: "start"))
      for (index, one) in series.enumerated() {
        let y = top + 24 + thick * Double(index)
        let end = across[one.values[place]]
        shapes.append(
          .element(
            "rect",
            [
              "x": short(left), "y": short(y), "width": short(max(0.5, end - left)),
              "height": short(thick - 3), "fill": "var(--c\(index % colors))",
            ]))
        shapes.append(label(label(one.values[place]), end + 4, y + thick - 5, anchor: "start"))
      }
    }
    let words = series.map { one in
      one.name + ": " + zip(names, one.values).map { "\($0) \(label($1))" }.joined(separator: ", ")
    }
    return figure(
      shapes, height: height, title: title, description: words.joined(separator: "; "),
      legend: legend(series.enumerated().map { ($1.name, $0) }))
  }

  /// Counts by row and column, the darker the larger their share of the row.
  static func matrix(
    rows: [String], columns: [String], _ values: [[Double]], title: String, row: String,
    column: String
  ) -> HTML {
    guard !rows.isEmpty, !columns.isEmpty else { return .none }
    let left = labelWidth(rows)
    let cell = min(110, (width - left - 8) / Double(columns.count))
    let height = 56 + 34 * Double(rows.count)
    var shapes = [
      label("\(row) ↓", left - 8, 44, anchor: "end"),
      label("\(column) →", left, 18, anchor: "start"),
    ]
    for (place, name) in columns.enumerated() {
      shapes.append(label(name, left + cell * (Double(place) + 0.5), 44, anchor: "middle"))
    }
    for (index, name) in rows.enumerated() {
      let y = 52 + 34 * Double(index)
      shapes.append(label(name, left - 8, y + 22, anchor: "end"))
      let total = max(1, values[index].reduce(0, +))
      for (place, value) in values[index].enumerated() {
        let share = value / total
        shapes.append(
          .element(
            "rect",
            [
              "x": short(left + cell * Double(place)), "y": short(y), "width": short(cell - 2),
              "height": "32", "fill": "var(--c0)", "fill-opacity": short(0.06 + 0.7 * share),
            ]))
        if value > 0 {
          shapes.append(
            label(label(value), left + cell * (Double(place) + 0.5), y + 22, anchor: "middle"))
        }
      }
    }
    let words = zip(rows, values).map { name, values in
      "\(row) \(name): " + zip(columns, values).map { "\($0) \(label($1))" }.joined(separator: ", ")
    }
    return figure(
      shapes, height: height, title: title, description: words.joined(separator: "; "))
  }

  /// What each name has on two sides, joined by a line.
  static func slopes(
    _ series: [(name: String, left: Double, right: Double)], title: String, left: String,
    right: String
  ) -> HTML {
    guard !series.isEmpty else { return .none }
    let height = max(280, 70 + 22 * Double(series.count))
    let up = Axis(
      series.flatMap { [$0.left, $0.right] }, from: height - 16, to: 40, beginsAtZero: false)
    let (from, to) = (200.0, width - 200)
    var shapes = [
      label(left, from, 18, anchor: "middle"), label(right, to, 18, anchor: "middle"),
      line(from, 28, from, height - 8, "var(--line)", 1),
      line(to, 28, to, height - 8, "var(--line)", 1),
    ]
    let lefts = spread(series.map { up[$0.left] })
    let rights = spread(series.map { up[$0.right] })
    for (place, one) in series.enumerated() {
      let color = "var(--c\(place % colors))"
      shapes += [
        line(from, up[one.left], to, up[one.right], color, 2), dot(from, up[one.left], 4, color),
        dot(to, up[one.right], 4, color),
        label("\(one.name) \(label(one.left))", from - 10, lefts[place] + 4, anchor: "end"),
        label("\(label(one.right)) \(one.name)", to + 10, rights[place] + 4, anchor: "start"),
      ]
    }
    let words = series.map { "\($0.name): \(label($0.left)) to \(label($0.right))" }
    return figure(
      shapes, height: height, title: title,
      description: "\(left) to \(right): " + words.joined(separator: "; "))
  }

  // MARK: Parts

  /// Heights of labels moved apart so that none stands on another.
  private static func spread(_ heights: [Double]) -> [Double] {
    var moved = heights
    var last = -Double.infinity
    for index in heights.indices.sorted(by: { heights[$0] < heights[$1] }) {
      moved[index] = max(heights[index], last + 20)
      last = moved[index]
    }
    return moved
  }

  private static func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    let most = 300
    guard points.count > most else { return points }
    let parts = most / 2
    return (0..<parts).flatMap { part -> [(x: Double, y: Double)] in
      let own = points[points.count * part / parts..<points.count * (part + 1) / parts]
      guard let least = own.indices.min(by: { own[$0].y < own[$1].y }),
        let most = own.indices.max(by: { own[$0].y < own[$1].y })
      else { return [] }
      return least == most ? [own[least]] : [least, most].sorted().map { own[$0] }
    }
  }

  private static func axes(
    _ across: Axis, _ up: Axis, x: String, y: String, height: Double
  ) -> [HTML] {
    var shapes = axis(across, at: height - 52, title: x, top: 12)
    for tick in up.ticks {
      shapes.append(line(92, up[tick], width - 28, up[tick], "var(--line)", 0.5))
      shapes.append(label(label(tick), 86, up[tick] + 4, anchor: "end"))
    }
    return shapes
  }

  private static func axis(_ across: Axis, at y: Double, title: String, top: Double) -> [HTML] {
    var shapes: [HTML] = []
    for tick in across.ticks {
      shapes.append(line(across[tick], top, across[tick], y, "var(--line)", 0.5))
      shapes.append(label(label(tick), across[tick], y + 18, anchor: "middle"))
    }
    shapes.append(label(title, width - 12, y + 40, anchor: "end"))
    return shapes
  }

  private static func line(
    _ x: Double, _ y: Double, _ toX: Double, _ toY: Double, _ color: String, _ thick: Double
  ) -> HTML {
    .element(
      "line",
      [
        "x1": short(x), "y1": short(y), "x2": short(toX), "y2": short(toY), "stroke": color,
        "stroke-width": short(thick),
      ])
  }

  private static func dot(_ x: Double, _ y: Double, _ radius: Double, _ color: String) -> HTML {
    .element(
      "circle", ["cx": short(x), "cy": short(y), "r": short(radius), "fill": color])
  }

  private static func ring(_ x: Double, _ y: Double, _ color: String) -> HTML {
    .element(
      "circle",
      [
        "cx": short(x), "cy": short(y), "r": "3", "fill": "none", "stroke": color,
        "stroke-width": "1.2",
      ])
  }

  private static func label(_ text: String, _ x: Double, _ y: Double, anchor: String) -> HTML {
    .element("text", ["x": short(x), "y": short(y), "text-anchor": anchor], .text(text))
  }

  private static func labelWidth(_ names: [String]) -> Double {
    // As wide as on a narrow page, where letters are larger.
    min(260, 24 + 11 * Double(names.map(\.count).max() ?? 0))
  }

  private static func legend(_ names: [(String, Int)]) -> HTML {
    var seen: Set<Int> = []
    let items = names.filter { seen.insert($0.1).inserted }.map { name, color in
      HTML.element(
        "li", [:],
        .element(
          "span",
          ["class": "swatch", "style": "background:var(--c\(color % colors))"]), .text(name))
    }
    return items.count < 2 ? .none : .element("ul", ["class": "legend"], items)
  }

  private static func figure(
    _ shapes: [HTML], height: Double, title: String, description: String, legend: HTML = .none
  ) -> HTML {
    .element(
      "figure", [:],
      .element("figcaption", [:], .text(title)), legend,
      .element(
        "svg",
        [
          "viewBox": "0 0 \(short(width)) \(short(height))", "role": "img",
          "aria-label": "\(title). \(description)",
        ], [.element("title", [:], .text(title))] + shapes))
  }

  private static func short(_ value: Double) -> String {
    let text = String(format: "%.1f", value)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  /// A number in four digits or fewer.
  static func label(_ value: Double) -> String {
    let size = abs(value)
    if size >= 1e6 { return String(format: "%.1fM", value / 1e6) }
    if size >= 1e4 { return String(format: "%.0fk", value / 1e3) }
    if value == value.rounded() { return String(format: "%.0f", value) }
    if size >= 100 { return String(format: "%.0f", value) }
    if size >= 1 { return String(format: "%.2f", value) }
    if size < 0.001 { return String(format: "%.1e", value) }
    var text = String(format: "%.3f", value)
    while text.hasSuffix("0") { text.removeLast() }
    return text
  }
}

/// Where values lie along a side of a plot.
private struct Axis {
  private let low: Double
  private let high: Double
  private let from: Double
  private let to: Double
  let ticks: [Double]

  init(_ values: [Double], from: Double, to: Double, beginsAtZero: Bool = true) {
    self.from = from
    self.to = to
    let least = values.min() ?? 0
    let most = values.max() ?? 1
    let start = beginsAtZero ? min(0, least) : least
    // Where all values are equal they stand in a range of their size, or of 1.
    let range = most > start ? most - start : most == 0 ? 1 : abs(most) / 10
    let power = pow(10, floor(log10(range / 4)))
    let step = [1, 2, 5, 10].map { $0 * power }.first { range / $0 <= 5 } ?? power
    low = floor(start / step) * step
    high = max(ceil(most / step - 1e-9) * step, low + step)
    let (first, count) = (low, Int(((high - low) / step).rounded()))
    ticks = (0...count).map { first + Double($0) * step }
  }

  subscript(value: Double) -> Double { from + (value - low) / (high - low) * (to - from) }
}
