/// What a child of the world learns at school: sums, products, word forms, and some Korean.
enum Learning {
  static let sum = Relation(
    "sum",
    says: [
      "{s} is {v}.", "The sum of {s} is {v}.", "If you count {s}, you get {v}.", "{s} makes {v}.",
      "{v} is what {s} gives.", "{s} equals {v}.",
    ],
    asks: [
      .init(instruction: "What is {s}?", output: "{s} is {v}."),
      .init(instruction: "How much is {s}?", output: "{s} is {v}."),
      .init(instruction: "Calculate.", input: "{s}", output: "{s} is {v}."),
    ])
  static let plural = Relation(
    "plural",
    says: [
      "The plural of {s} is {v}.", "One {s}, many {v}.", "A single one is a {s}, several are {v}.",
      "More than one {s} are {v}.", "Of a {s} there may be two {v}.", "We say one {s} but three {v}.",
    ],
    asks: [
      .init(instruction: "What is the plural of {s}?", output: "The plural of {s} is {v}."),
      .init(instruction: "Give the plural.", input: "one {s}", output: "The plural of {s} is {v}."),
    ])
  static let past = Relation(
    "past",
    says: [
      "The past tense of {s} is {v}.", "Today they {s}, yesterday they {v}.", "What we {s} now, we {v} before.",
      "They {s} every day and {v} last year, too.", "I {s} and you {v}.", "To {s} in the past is {v}.",
    ],
    asks: [
      .init(instruction: "What is the past tense of {s}?", output: "The past tense of {s} is {v}."),
      .init(instruction: "Put the verb in the past tense.", input: "they {s}", output: "The past tense of {s} is {v}."),
    ])
  static let opposite = Relation(
    "opposite",
    says: [
      "The opposite of {s} is {v}.", "What is not {s} may be {v}.", "{S} and {v} are opposites.",
      "If one is {s}, the other is {v}.", "From {s} to {v} is as far as can be.", "Not {s} but {v}.",
    ],
    asks: [
      .init(instruction: "What is the opposite of {s}?", output: "The opposite of {s} is {v}."),
      .init(
        instruction: "Give the opposite of the word.", input: "the word {s}", output: "The opposite of {s} is {v}."),
    ])
  static let korean = Relation(
    "korean",
    says: [
      "The Korean word for {s} is {v}.", "In Korean, {s} is {v}.", "Koreans say {v} for {s}.", "{v} means {s}.",
      "A Korean calls it {v}, we call it {s}.", "한국어로 {s:은} {v:이에요}.",
    ],
    asks: [
      .init(instruction: "What is the Korean word for {s}?", output: "The Korean word for {s} is {v}."),
      .init(
        instruction: "Translate the word into Korean.", input: "the word {s}", output: "The Korean word for {s} is {v}."
      ),
      .init(instruction: "한국어로 {s:은} 뭐예요?", output: "한국어로 {s:은} {v:이에요}."),
    ])

  private static func pairs(_ text: String) -> [(String, String)] {
    People.words(text).map { pair in
      let parts = pair.split(separator: "/").map(String.init)
      return (parts[0], parts[1])
    }
  }

  static let plurals = pairs(
    """
    mouse/mice goose/geese foot/feet tooth/teeth child/children ox/oxen man/men woman/women louse/lice leaf/leaves
    wolf/wolves knife/knives life/lives wife/wives loaf/loaves half/halves shelf/shelves thief/thieves calf/calves
    scarf/scarves hero/heroes potato/potatoes tomato/tomatoes echo/echoes baby/babies city/cities lady/ladies fly/flies
    story/stories berry/berries party/parties army/armies box/boxes fox/foxes bus/buses glass/glasses dish/dishes
    brush/brushes church/churches witch/witches bench/benches beach/beaches cactus/cacti crisis/crises basis/bases
    key/keys toy/toys monkey/monkeys valley/valleys roof/roofs cliff/cliffs piano/pianos photo/photos chair/chairs
    window/windows stone/stones river/rivers lamp/lamps
    """)
  static let pasts = pairs(
    """
    go/went see/saw eat/ate drink/drank sing/sang swim/swam run/ran come/came give/gave take/took make/made break/broke
    speak/spoke steal/stole write/wrote ride/rode drive/drove rise/rose fly/flew grow/grew know/knew throw/threw draw/drew
    blow/blew find/found bind/bound fight/fought bring/brought buy/bought think/thought catch/caught teach/taught
    seek/sought sleep/slept keep/kept feel/felt leave/left lose/lost send/sent spend/spent build/built tell/told sell/sold
    hold/held stand/stood begin/began sink/sank ring/rang fall/fell choose/chose freeze/froze wear/wore tear/tore bear/bore
    hide/hid bite/bit shake/shook walk/walked open/opened cook/cooked paint/painted carry/carried try/tried stop/stopped
    """)
  static let opposites = pairs(
    """
    hot/cold big/small tall/short fast/slow old/young rich/poor hard/soft wet/dry light/dark full/empty early/late
    strong/weak happy/sad good/bad high/low near/far open/closed clean/dirty thick/thin loud/quiet brave/afraid sweet/sour
    deep/shallow wide/narrow sharp/blunt right/wrong first/last true/false alive/dead awake/asleep heavy/weightless
    smooth/rough cheap/dear kind/cruel safe/dangerous tight/loose straight/crooked ripe/raw noisy/still lazy/busy
    """)
  static let koreanWords = pairs(
    """
    river/강 mountain/산 sea/바다 sky/하늘 star/별 moon/달 sun/해 rain/비 snow/눈 wind/바람 tree/나무 flower/꽃 leaf/잎
    stone/돌 water/물 fire/불 house/집 door/문 window/창문 road/길 bridge/다리 school/학교 book/책 friend/친구 child/아이
    mother/어머니 father/아버지 name/이름 hand/손 nose/코 mouth/입 ear/귀 head/머리 dog/개 cat/고양이 horse/말 cow/소
    bird/새 fish/물고기 rabbit/토끼 fox/여우 bread/빵 rice/쌀 apple/사과 pear/배 milk/우유 tea/차 salt/소금 morning/아침
    evening/저녁 night/밤 spring/봄 summer/여름 autumn/가을 winter/겨울 red/빨강 blue/파랑 love/사랑 song/노래 letter/편지
    """)

  static func sums() -> [[Fact]] {
    var sums: [Fact] = []
    for first in 2...15 {
      for second in first...15 {
        // Both orders are one fact.
        let key = "sum: \(first) plus \(second)"
        sums.append(Fact(sum, "\(first) plus \(second)", "\(first + second)", key: key))
        if first != second { sums.append(Fact(sum, "\(second) plus \(first)", "\(first + second)", key: key)) }
      }
    }
    for first in 2...10 {
      for second in first...10 {
        let key = "product: \(first) times \(second)"
        sums.append(Fact(sum, "\(first) times \(second)", "\(first * second)", key: key))
        if first != second { sums.append(Fact(sum, "\(second) times \(first)", "\(first * second)", key: key)) }
      }
    }
    return sums.map { [$0] }
  }

  static func words() -> [[Fact]] {
    [(plural, plurals), (past, pasts), (opposite, opposites), (korean, koreanWords)].flatMap { relation, pairs in
      pairs.map { [Fact(relation, $0.0, $0.1)] }
    }
  }
}
