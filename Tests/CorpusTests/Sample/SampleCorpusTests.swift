import Corpus
import Determinism
import Foundation
import Testing
import Tokenizers

/// The synthetic corpus: the same everywhere, parallel, hard enough.
@Suite struct SampleCorpusTests {
  static let corpus = SampleCorpus(sentences: 600, seed: 1)
  static let languages = SampleCorpus.allLanguages

  private func entities(_ sentence: Sentence) -> [(type: String, text: String)] {
    var found: [(type: String, text: String)] = []
    for (word, tag) in zip(sentence.words, sentence.tags) {
      if tag.hasPrefix("B-") {
        found.append((String(tag.dropFirst(2)), word))
      } else if tag.hasPrefix("I-"), let last = found.last {
        found[found.count - 1].text = last.text + " " + word
      }
    }
    return found
  }

  @Test func theSameSeedGivesTheSameBytes() throws {
    var hash = FNV1a()
    for language in Self.languages {
      for part in SampleCorpus.Part.allCases {
        for sentence in Self.corpus.sentences(language, part) {
          for text in sentence.words + sentence.tags {
            for byte in text.utf8 { hash.add(byte: byte) }
          }
        }
      }
    }
    let again = SampleCorpus(sentences: 600, seed: 1)
    #expect(again.sentences("tr", .test) == Self.corpus.sentences("tr", .test))
    #expect(
      SampleCorpus(sentences: 600, seed: 2).sentences("en", .test) != again.sentences("en", .test))
    // A change of this number changes every sample corpus: it is one of the generator's promises.
    #expect(String(hash.value, radix: 16) == "3aa8cdc2bcd41a29")
  }

  @Test(arguments: languages) func tagsAreIOB2AndAllTypesOccur(language: String) {
    var types: Set<String> = []
    for part in SampleCorpus.Part.allCases {
      for sentence in Self.corpus.sentences(language, part) {
        #expect(sentence.words.allSatisfy { !$0.isEmpty && !$0.contains(" ") && !$0.contains("{") })
        for (index, tag) in sentence.tags.enumerated() {
          if tag.hasPrefix("I-") {
            let before = index > 0 ? sentence.tags[index - 1] : "O"
            #expect(before.dropFirst(2) == tag.dropFirst(2) && before != "O")
          }
          if tag != "O" { types.insert(String(tag.dropFirst(2))) }
        }
      }
    }
    #expect(types == ["PER", "LOC", "ORG", "MISC"])
  }

  @Test(arguments: languages) func sentencesMeanTheSameInEveryLanguage(language: String) {
    for part in SampleCorpus.Part.allCases {
      let english = Self.corpus.sentences("en", part)
      let other = Self.corpus.sentences(language, part)
      #expect(english.count == other.count)
      for (left, right) in zip(english, other) {
        #expect(
          entities(left).map(\.type).sorted() == entities(right).map(\.type).sorted(),
          "\(left.words) and \(right.words)")
      }
    }
  }

  @Test func aLanguageDoesNotDependOnTheOthers() {
    let alone = SampleCorpus(languages: ["zh"], sentences: 600, seed: 1)
    #expect(alone.sentences("zh", .train) == Self.corpus.sentences("zh", .train))
  }

  @Test(arguments: languages) func testSentencesAndMostOfTheirNamesAreNew(language: String) {
    let train = Self.corpus.sentences(language, .train)
    let test = Self.corpus.sentences(language, .test)
    let known = Set(train.map { $0.words.joined(separator: " ") })
    let repeated = test.count { known.contains($0.words.joined(separator: " ")) }
    #expect(repeated == 0)
    let names = Set(train.flatMap { entities($0).map(\.text) })
    let found = test.flatMap { entities($0).map(\.text) }
    let new = found.count { !names.contains($0) }
    #expect(Double(new) >= 0.4 * Double(found.count), "\(new) of \(found.count)")
  }

  @Test func scriptsAreTheirOwn() {
    func has(_ language: String, _ range: ClosedRange<UInt32>) -> Bool {
      let letters = Self.corpus.sentences(language, .dev).flatMap(\.words)
        .flatMap(\.unicodeScalars).filter { $0.properties.isAlphabetic }
      return Double(letters.count { range.contains($0.value) }) > 0.9 * Double(letters.count)
    }
    #expect(has("ru", 0x400...0x4FF) && has("ar", 0x600...0x6FF) && has("zh", 0x4E00...0x9FFF))
  }

  @Test func theTokenizerKnowsEveryCharacterOfItsText() throws {
    let folder = NSTemporaryDirectory() + "isogloss-sample-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try Self.corpus.write(to: folder)
    let tokenizer = try TokenizerLoader.load(folder + "/tokenizer")
    for language in Self.languages {
      let sentences = try SentenceReader.read("\(folder)/\(language).train.conll")
      #expect(sentences.count == Self.corpus.sentences(language, .train).count)
      for sentence in sentences {
        let ids = tokenizer.encode(words: sentence.words).flatMap { $0 }
        #expect(!ids.contains(tokenizer.specials.unknown), "\(sentence.words)")
      }
    }
  }
}
