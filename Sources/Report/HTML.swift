import Foundation

/// Text and elements of a page. Whatever a corpus or a config holds is text: only ``HTML`` values are markup.
struct HTML: Sendable {
  private(set) var markup: String

  private init(markup: String) { self.markup = markup }

  /// Text, with all that markup is made of escaped and control characters left out.
  static func text(_ text: some StringProtocol) -> HTML {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      case "\n", "\t": escaped.unicodeScalars.append(scalar)
      // Bidirectional overrides would turn what follows on the page.
      case "\u{202A}"..."\u{202E}", "\u{2066}"..."\u{2069}": continue
      default:
        if scalar.properties.generalCategory != .control {
          escaped.unicodeScalars.append(scalar)
        }
      }
    }
    return HTML(markup: escaped)
  }

  /// An element with its attributes, whose values are escaped.
  static func element(
    _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String> = [:],
    _ children: HTML...
  ) -> HTML {
    element(name, attributes, children)
  }

  static func element(
    _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String> = [:],
    _ children: [HTML]
  ) -> HTML {
    let list = attributes.map { " \($0.key)=\"\(HTML.text($0.value).markup)\"" }.joined()
    return HTML(markup: "<\(name)\(list)>\(children.map(\.markup).joined())</\(name)>")
  }

  /// What this program wrote itself: styles.
  static func own(_ markup: StaticString) -> HTML { HTML(markup: "\(markup)") }

  static func + (left: HTML, right: HTML) -> HTML { HTML(markup: left.markup + right.markup) }

  static let none = HTML(markup: "")

  // MARK: What reports are made of

  static func heading(_ level: Int, _ title: String) -> HTML {
    switch level {
    case 1: element("h1", [:], text(title))
    case 2: element("h2", [:], text(title))
    default: element("h3", [:], text(title))
    }
  }

  /// A part of the page with its heading, to which ``contents(_:)`` leads.
  static func section(_ number: Int, _ title: String, _ content: [HTML]) -> HTML {
    element("section", ["id": "s\(number)"], [heading(2, title)] + content)
  }

  /// Links to the sections of the page.
  static func contents(_ titles: [String]) -> HTML {
    let links = titles.enumerated().map { number, title in
      element("li", [:], element("a", ["href": "#s\(number)"], text(title)))
    }
    return element("nav", ["aria-label": "Contents"], element("ul", [:], links))
  }

  static func paragraph(_ words: String) -> HTML { element("p", [:], text(words)) }

  /// A table whose first row and column are headings; it scrolls by itself where the page is narrow.
  static func table(_ rows: [[String]], caption: String) -> HTML {
    guard let first = rows.first else { return none }
    let head = element(
      "tr", [:], first.map { element("th", ["scope": "col"], text($0)) })
    let body = rows.dropFirst().map { row in
      element(
        "tr", [:],
        row.enumerated().map { place, cell in
          place == 0
            ? element("th", ["scope": "row"], text(cell)) : element("td", [:], text(cell))
        })
    }
    return element(
      "div", ["class": "scroll", "tabindex": "0", "role": "region", "aria-label": caption],
      element(
        "table", [:], element("caption", [:], text(caption)), element("thead", [:], head),
        element("tbody", [:], body)))
  }

  /// Something that a reader opens.
  static func details(_ title: String, _ content: HTML) -> HTML {
    element("details", [:], element("summary", [:], text(title)), content)
  }

  static func list(_ items: [String]) -> HTML {
    element("ul", [:], items.map { element("li", [:], text($0)) })
  }
}
