/// The templates of one sample language.
///
/// Words are separated by blanks. `{P} {L} {O} {C} {M}` are a person, a place, an organisation, a club that
/// is called like a town, an event or work; a digit tells several apart. `{N}` is a number, `{D}` a day. A
/// word after `^` is capitalised at the beginning of a sentence. Template i means the same in all languages.
struct SampleLanguage: Sendable {
  let code: String
  /// How a sentence may begin; the first is empty.
  let openings: [String]
  let templates: [String]
  let days: [String]
  /// Names of organisations over a place `{L}` or an invented name `{S}`.
  let organisations: [String]
  /// Names of events over a place or an invented name.
  let events: [String]

  static let all = [english, german, spanish, french, russian, arabic, chinese, turkish]

  init(
    _ code: String, openings: String, templates: String, days: String, organisations: String,
    events: String
  ) {
    func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }
    self.code = code
    self.openings = [""] + lines(openings)
    self.templates = lines(templates)
    self.days = days.split(separator: " ").map(String.init)
    self.organisations = lines(organisations)
    self.events = lines(events)
  }
}
