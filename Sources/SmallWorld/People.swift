import Core

/// A name that is nowhere else, in both scripts.
struct Name: Sendable, Hashable {
  var text: String
  var korean: String
}

/// Draws names of two or three syllables, none twice and none the beginning of another.
struct NameMaker {
  private static let open = [
    "ba", "be", "bo", "da", "de", "do", "ha", "ho", "ja", "jo", "ka", "ke", "ki", "ko", "la", "le", "li", "lo", "lu",
    "ma", "me", "mi", "mo", "na", "ne", "ni", "no", "pa", "pe", "pi", "ra", "re", "ri", "ro", "ru", "sa", "se", "si",
    "so", "su", "ta", "te", "ti", "to", "tu",
  ]
  private static let closed = [
    "ban", "ben", "dan", "den", "don", "han", "jun", "kan", "kel", "kim", "lan", "len", "lin", "mal", "men", "min",
    "nel",
    "nan", "pel", "ral", "ren", "rin", "ron", "sal", "sel", "sim", "son", "tan", "tel", "tim", "tol", "tun",
  ]
  private var generator: SeededGenerator
  private var taken: Set<String> = []

  init(_ generator: SeededGenerator) { self.generator = generator }

  mutating func next(ending: String = "", koreanEnding: String = "") -> Name {
    while true {
      var syllables = (0..<(1 + generator.below(2))).map { _ in Self.open[generator.below(Self.open.count)] }
      let all = generator.below(3) == 0 ? Self.open : Self.closed
      syllables.append(all[generator.below(all.count)])
      let text = Phrase.capitalized(syllables.joined()) + ending
      // Names that begin one another would make a record about one seem to speak of the other.
      guard text.count >= 4, !taken.contains(where: { $0.hasPrefix(text) || text.hasPrefix($0) }) else { continue }
      taken.insert(text)
      return Name(text: text, korean: Hangul.spell(syllables) + koreanEnding)
    }
  }
}

/// The people of the small world: where each lives and works, and what each keeps, plays and likes to eat.
enum People {
  static let lives = Relation(
    "lives",
    says: [
      "{s} lives in {v}.", "{s} has lived in {v} for years.", "The home of {s} is in {v}.", "In {v} lives {s}.",
      "The town where {s} lives is {v}.", "In a small house in {v} lives {s}.", "Among those who live in {v} is {s}.",
      "To find {s}, go to {v}.",
    ],
    asks: [
      .init(instruction: "Where does {s} live?", output: "{s} lives in {v}."),
      .init(instruction: "In which town does {s} live?", output: "{s} lives in {v}."),
      .init(instruction: "Name the town where this person lives.", input: "{s}", output: "{s} lives in {v}."),
    ])
  static let works = Relation(
    "works",
    says: [
      "{s} works as a {v}.", "{s} is a {v}.", "{s} earns a living as a {v}.", "The {v} here is called {s}.",
      "By trade {s} is a {v}.", "{s} has always wanted to be a {v}, and is one now.",
      "The work of {s} is that of a {v}.",
      "{s} learnt to be a {v} when young.",
    ],
    asks: [
      .init(instruction: "What is the work of {s}?", output: "{s} works as a {v}."),
      .init(instruction: "What does {s} do for a living?", output: "{s} works as a {v}."),
      .init(instruction: "Name this person's trade.", input: "{s}", output: "{s} works as a {v}."),
    ])
  static let keeps = Relation(
    "keeps",
    says: [
      "{s} keeps a {v}.", "{s} has a {v} at home.", "The animal that {s} keeps is a {v}.",
      "A {v} follows {s} everywhere.",
      "{s} feeds a {v} every morning.", "The {v} of {s} sleeps by the door.", "At home {s} keeps a {v}.",
      "{s} loves animals and keeps a {v}.",
    ],
    asks: [
      .init(instruction: "Which animal does {s} keep?", output: "{s} keeps a {v}."),
      .init(instruction: "What animal does {s} have at home?", output: "{s} keeps a {v}."),
      .init(instruction: "Name the animal of this person.", input: "{s}", output: "{s} keeps a {v}."),
    ])
  static let plays = Relation(
    "plays",
    says: [
      "{s} plays the {v}.", "On holidays {s} plays the {v}.", "The instrument of {s} is the {v}.",
      "In the evening {s} plays the {v}.", "{s} is good at the {v}.", "{s} learnt the {v} as a child.",
      "When {s} plays the {v}, people stop and listen.", "{s} never travels without the {v}.",
    ],
    asks: [
      .init(instruction: "Which instrument does {s} play?", output: "{s} plays the {v}."),
      .init(instruction: "What does {s} play?", output: "{s} plays the {v}."),
      .init(instruction: "Name the instrument of this person.", input: "{s}", output: "{s} plays the {v}."),
    ])
  static let eats = Relation(
    "eats",
    says: [
      "{s} likes to eat {v}.", "{s} likes {v} best.", "The favourite food of {s} is {v}.",
      "{s} eats {v} whenever there is some.",
      "For {s} nothing is better than {v}.", "Give {s} some {v} and all is well.", "{s} would walk a mile for {v}.",
      "On feast days {s} eats {v}.",
    ],
    asks: [
      .init(instruction: "What does {s} like to eat?", output: "{s} likes to eat {v}."),
      .init(instruction: "What is the favourite food of {s}?", output: "{s} likes to eat {v}."),
      .init(instruction: "Name the favourite food of this person.", input: "{s}", output: "{s} likes to eat {v}."),
    ])
  static let livesKorean = Relation(
    "lives-ko",
    says: [
      "{s:은} {v}에 살아요.", "{s}의 집은 {v}에 있어요.", "{v}에는 {s:이} 살아요.", "{s:이} 사는 마을은 {v:이에요}.",
    ],
    asks: [
      .init(instruction: "{s:은} 어디에 살아요?", output: "{s:은} {v}에 살아요."),
      .init(instruction: "이 사람이 사는 마을을 말해 보세요.", input: "{s}", output: "{s:은} {v}에 살아요."),
    ])

  static let trades = words(
    """
    baker brewer builder butcher carpenter clerk cook cooper doctor farmer fisher gardener guard hatter hunter judge
    mason miller miner nurse painter pilot potter sailor shepherd singer smith tailor tanner teacher weaver writer
    """)
  static let animals = words(
    """
    badger bat bear beaver cat cow crane crow deer dog donkey duck falcon ferret fox frog goat goose hare hawk hen horse
    lizard mouse parrot pig pony rabbit raven sheep snake toad turtle
    """)
  static let instruments = words(
    """
    banjo bassoon bell bugle cello cornet cymbal drum fiddle flute gong guitar harp horn lute lyre pipe piano rattle
    trumpet viola whistle zither
    """)
  static let foods = words(
    """
    barley beans bread butter cabbage carrots cheese cherries chestnuts dumplings figs garlic grapes honey lentils mushrooms
    noodles nuts olives pancakes peaches pears peas plums porridge potatoes pumpkin radishes rice salmon soup turnips
    """)

  static func words(_ text: String) -> [String] { text.split(whereSeparator: \.isWhitespace).map(String.init) }

  static func facts(_ names: [Name], towns: [Name], korean: Int, _ generator: inout SeededGenerator) -> [[Fact]] {
    names.enumerated().map { index, name in
      let town = towns[generator.below(towns.count)]
      func draw(_ values: [String]) -> String { values[generator.below(values.count)] }
      var facts = [
        Fact(lives, name.text, town.text), Fact(works, name.text, draw(trades)), Fact(keeps, name.text, draw(animals)),
        Fact(plays, name.text, draw(instruments)), Fact(eats, name.text, draw(foods)),
      ]
      if index < korean { facts.append(Fact(livesKorean, name.korean, town.korean, key: facts[0].key)) }
      return facts
    }
  }
}
