import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

@Suite struct ModelCardTests {
  private static let facts: JSONValue = [
    "languages": ["en", "ru"], "labels": [["O", "B-PER"]], "stage": "fine-tune",
    "weight_hash": "1a2b", "seed": 7,
    "card": ["model": "A token classifier", "pipeline_tag": "token-classification"],
    "scores": [
      ["split": "test", "language": "en", "overall_f1": .number("0.83251"), "number": 92],
      ["split": "test", "language": "ru", "overall_f1": .number("0.5")],
    ],
    "data": [
      "en": ["test": ["files": [["name": "en.te|st.conll"]], "sentences": 40, "words": 428]]
    ],
  ]

  @Test func whatTheHubReadsIsThere() {
    let text = ModelCard(name: "ner: \"x\"", facts: Self.facts).text(licence: "apache-2.0")
    #expect(text.hasPrefix("---\nlanguage: [\"en\", \"ru\"]\nlibrary_name: transformers\n"))
    for line in [
      "pipeline_tag: token-classification", "license: \"apache-2.0\"",
      "- name: \"ner: \\\"x\\\"\"", "    - type: f1", "      value: 0.83251",
      "      name: \"en.te|st.conll\"", "| en | test | 83.25 |", "| ru | test | 50.00 |",
      "| en | test | en.te\\|st.conll | 40 | 428 |  |", "- seed: 7",
    ] {
      #expect(text.contains(line), "\(line)")
    }
  }

  @Test func aModelOfAnotherLibraryHasItsOwnMetric() {
    let text = ModelCard(
      name: "x",
      facts: [
        "card": ["model": "A hashed tagger", "score": "accuracy", "title": "accuracy"],
        "scores": [["split": "test", "language": "en", "accuracy": .number("0.5"), "words": 9]],
      ]
    ).text()
    for line in [
      "library_name: isogloss", "tags: [\"isogloss\"]", "A hashed tagger, trained with",
      "| en | test | 0.500 |",
    ] {
      #expect(text.contains(line), "\(line)")
    }
    #expect(!text.contains("pipeline_tag"))
  }

  @Test func aRewriteKeepsWhatPeopleWrote() {
    let card = ModelCard(name: "ner", facts: Self.facts)
    let first = card.text()
    #expect(card.text(over: first) == first)
    var edited = first.replacingOccurrences(
      of: "## Intended use\n\nNot described yet.", with: "## Intended use\n\nFor **birds**.")
    edited = edited.replacingOccurrences(
      of: "---\nlanguage", with: "---\nlicense: mit\nwidget:\n- text: Hello\nlanguage")
    edited = edited.replacingOccurrences(of: "# ner\n", with: "# A better name\n")
    edited = edited.replacingOccurrences(of: "| en | test | 83.25 |", with: "| en | test | 99.99 |")
    let again = card.text(over: edited)
    for kept in [
      "For **birds**.", "license: mit", "widget:\n- text: Hello", "# A better name",
      "| en | test | 83.25 |",
    ] {
      #expect(again.contains(kept), "\(kept)")
    }
    #expect(!again.contains("99.99") && !again.contains("# ner\n"))
    #expect(card.text(over: again) == again)
  }

  @Test func aCardByOtherHandsStays() {
    let card = ModelCard(name: "ner", facts: Self.facts)
    let text = card.text(over: "---\r\nlicense: mit\r\n---\r\n# Ours\r\n\r\nAll we know.\r\n")
    #expect(text.contains("license: mit\n") && text.contains("# Ours\n\nAll we know.\n"))
    #expect(text.contains("| en | test | 83.25 |") && text.ranges(of: "---\n").count == 2)
    #expect(card.text(over: text) == text)
  }

  @Test func namesCannotBreakOut() {
    let hash = String(repeating: "1", count: 64)
    let card = ModelCard(
      name: "a\u{85}b",
      facts: [
        "languages": ["![x](https://example.com/p.png)"], "parents": [.string(hash)],
        "ancestors": [
          ["name": "<!-- isogloss: end -->\n```", "identity": .string(hash), "parents": []]
        ],
      ])
    let text = card.text()
    #expect(card.text(over: text) == text)
    let body = text.split(separator: "\n---\n", maxSplits: 1).last ?? ""
    #expect(body.ranges(of: "<!-- isogloss: end -->").count == 1)
    #expect(!text.contains(" ![x]") && !text.contains("\u{85}"))
  }

  @Test func rewritingTheCardOfACheckpointKeepsItWhole() throws {
    let directory = try TemporaryDirectory()
    let (model, key) = (directory.file("model"), directory.file("key"))
    let before = try SampleModel.write(to: model, facts: ["languages": ["en"]])
    try SigningKey.generate(at: key)
    try CheckpointSignatures.sign(model, with: SigningKey(path: key, notIn: model))
    try CheckpointDirectory.writeCard(model, licence: "mit")
    let after = try CheckpointDirectory.verify(model)
    #expect(after.files.filter { $0.name != "README.md" } == before.files)
    #expect(after.facts == before.facts)
    let isThere = directory.exists("model/isogloss.sig")
    #expect(!isThere)
    #expect(try #require(try ModelCard.text(in: model)).contains("license: \"mit\""))
    #expect(try directory.names() == ["key", "key.pub", "model"])
  }
}
