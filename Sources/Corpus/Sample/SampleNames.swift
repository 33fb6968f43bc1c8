import Determinism

/// Names as each sample language writes them: those of the table below, and invented ones spelled out from
/// syllables.
enum SampleNames {
  /// The columns of the tables.
  static let languages = ["en", "de", "es", "fr", "ru", "ar", "zh", "tr"]

  /// Given names in Latin, Cyrillic, Arabic and Chinese script.
  static let given = rows(
    """
    Anna|Анна|آنا|安娜
    Maria|Мария|ماريا|玛丽亚
    Daniel|Даниэль|دانيال|丹尼尔
    Sara|Сара|سارة|萨拉
    David|Давид|داود|大卫
    Elena|Елена|إلينا|埃莱娜
    Martin|Мартин|مارتن|马丁
    Laura|Лаура|لورا|劳拉
    Adam|Адам|آدم|亚当
    Nina|Нина|نينا|尼娜
    Victor|Виктор|فيكتور|维克多
    Leila|Лейла|ليلى|莱拉
    Omar|Омар|عمر|奥马尔
    Paula|Паула|باولا|保拉
    Thomas|Томас|توماس|托马斯
    Julia|Юлия|جوليا|朱莉娅
    Simon|Симон|سيمون|西蒙
    Irene|Ирена|إيرين|艾琳
    Karim|Карим|كريم|卡里姆
    Sofia|София|صوفيا|索菲亚
    Robert|Роберт|روبرت|罗伯特
    Emma|Эмма|إيما|埃玛
    Paris|Парис|باريس|帕里斯
    Florence|Флоренс|فلورنس|弗洛伦斯
    """)

  /// Places in all eight languages.
  static let places = rows(
    """
    London|London|Londres|Londres|Лондон|لندن|伦敦|Londra
    Paris|Paris|París|Paris|Париж|باريس|巴黎|Paris
    Vienna|Wien|Viena|Vienne|Вена|فيينا|维也纳|Viyana
    Moscow|Moskau|Moscú|Moscou|Москва|موسكو|莫斯科|Moskova
    Cairo|Kairo|El Cairo|Le Caire|Каир|القاهرة|开罗|Kahire
    Beijing|Peking|Pekín|Pékin|Пекин|بكين|北京|Pekin
    Istanbul|Istanbul|Estambul|Istanbul|Стамбул|إسطنبول|伊斯坦布尔|İstanbul
    Madrid|Madrid|Madrid|Madrid|Мадрид|مدريد|马德里|Madrid
    Berlin|Berlin|Berlín|Berlin|Берлин|برلين|柏林|Berlin
    Florence|Florenz|Florencia|Florence|Флоренция|فلورنسا|佛罗伦萨|Floransa
    Geneva|Genf|Ginebra|Genève|Женева|جنيف|日内瓦|Cenevre
    Athens|Athen|Atenas|Athènes|Афины|أثينا|雅典|Atina
    Damascus|Damaskus|Damasco|Damas|Дамаск|دمشق|大马士革|Şam
    Warsaw|Warschau|Varsovia|Varsovie|Варшава|وارسو|华沙|Varşova
    Lisbon|Lissabon|Lisboa|Lisbonne|Лиссабон|لشبونة|里斯本|Lizbon
    Prague|Prag|Praga|Prague|Прага|براغ|布拉格|Prag
    Algeria|Algerien|Argelia|Algérie|Алжир|الجزائر|阿尔及利亚|Cezayir
    Norway|Norwegen|Noruega|Norvège|Норвегия|النرويج|挪威|Norveç
    Chile|Chile|Chile|Chili|Чили|تشيلي|智利|Şili
    Japan|Japan|Japón|Japon|Япония|اليابان|日本|Japonya
    """)

  /// Events, works and prizes in all eight languages.
  static let works = rows(
    """
    World Cup|Weltmeisterschaft|Copa del Mundo|Coupe du monde|Кубок мира|كأس العالم|世界杯|Dünya Kupası
    Olympic Games|Olympische Spiele|Juegos Olímpicos|Jeux olympiques|Олимпийские игры|الألعاب الأولمبية|奥运会|Olimpiyat Oyunları
    Nobel Prize|Nobelpreis|Premio Nobel|prix Nobel|Нобелевская премия|جائزة نوبل|诺贝尔奖|Nobel Ödülü
    Book Fair|Buchmesse|Feria del Libro|Foire du livre|Книжная ярмарка|معرض الكتاب|书展|Kitap Fuarı
    Davis Cup|Davis-Cup|Copa Davis|Coupe Davis|Кубок Дэвиса|كأس ديفيس|戴维斯杯|Davis Kupası
    Champions League|Champions League|Liga de Campeones|Ligue des champions|Лига чемпионов|دوري أبطال أوروبا|欧冠|Şampiyonlar Ligi
    """)

  private static func rows(_ text: String) -> [[String]] {
    text.split(separator: "\n").map { row in
      row.split(separator: "|").map(String.init)
    }
  }

  /// A given name in the script of a language.
  static func given(_ index: Int, _ language: Int) -> String {
    given[index][[0, 0, 0, 0, 1, 2, 3, 0][language]]
  }

  // MARK: Invented names

  private static let consonants = Array("bdfgklmnprstvz")
  private static let vowels = Array("aeiou")
  private static let cyrillic = Dictionary(
    uniqueKeysWithValues: zip(
      Array("bdfgklmnprstvzaeiou"), Array("бдфгклмнпрствзаеиоу")))
  private static let arabic = Dictionary(
    uniqueKeysWithValues: zip(
      Array("bdfgklmnprstvzaeiou"), Array("بدفغكلمنبرستفزايييو")))
  /// A character for each consonant with each of the vowels a, e, i, o, u.
  private static let chinese: [[Character]] = [
    "巴贝比博布", "达德迪多杜", "法费菲福弗", "加格吉戈古", "卡克基科库", "拉莱利洛卢", "马梅米莫穆", "纳内尼诺努",
    "帕佩皮波普", "拉雷里罗鲁", "萨塞西索苏", "塔特蒂托图", "瓦韦维沃武", "扎泽齐佐祖",
  ].map(Array.init)
  private static let endings: [Character: (cyrillic: String, arabic: String, chinese: String)] = [
    "n": ("н", "ن", "恩"), "r": ("р", "ر", "尔"), "s": ("с", "س", "斯"), "l": ("л", "ل", "勒"),
  ]

  /// An invented name: two or three syllables, and perhaps a last consonant.
  struct Stem: Sendable, Hashable {
    var syllables: [(consonant: Int, vowel: Int)]
    var ending: Character?

    init(_ random: inout RandomStream) {
      syllables = (0..<2 + random.below(2)).map { _ in
        (random.below(SampleNames.consonants.count), random.below(SampleNames.vowels.count))
      }
      let last = random.below(8)
      ending = last < 4 ? Array("nrsl")[last] : nil
    }

    static func == (left: Stem, right: Stem) -> Bool { left.latin == right.latin }

    func hash(into hasher: inout Hasher) { hasher.combine(latin) }

    var latin: String {
      let letters =
        syllables.flatMap {
          [SampleNames.consonants[$0.consonant], SampleNames.vowels[$0.vowel]]
        } + (ending.map { [$0] } ?? [])
      return String(letters[0]).uppercased() + String(letters.dropFirst())
    }

    /// The name in the script of a language.
    func name(_ language: Int) -> String {
      let small = latin.lowercased()
      switch SampleNames.languages[language] {
      case "ru":
        let letters = small.map { SampleNames.cyrillic[$0] ?? $0 }
        return String(letters[0]).uppercased() + String(letters.dropFirst())
      case "ar": return String(small.map { SampleNames.arabic[$0] ?? $0 })
      case "zh":
        return String(syllables.map { SampleNames.chinese[$0.consonant][$0.vowel] })
          + (ending.flatMap { SampleNames.endings[$0]?.chinese } ?? "")
      default: return latin
      }
    }
  }
}
