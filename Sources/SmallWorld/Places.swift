import Core

/// The towns, and the things that grow and are made there.
enum Places {
  static let river = Relation(
    "river",
    says: [
      "{s} lies on the river {v}.", "The river {v} flows through {s}.", "The river at {s} is called {v}.",
      "Boats come to {s} on the river {v}.", "The bridges of {s} cross the river {v}.",
      "{s} was built on the river {v}.",
    ],
    asks: [
      .init(instruction: "Which river flows through {s}?", output: "{s} lies on the river {v}."),
      .init(instruction: "On which river does {s} lie?", output: "{s} lies on the river {v}."),
      .init(instruction: "Name the river of this town.", input: "{s}", output: "{s} lies on the river {v}."),
    ])
  static let fame = Relation(
    "fame",
    says: [
      "{s} is famous for its {v}.", "People come to {s} for its {v}.", "The {v} of {s} are known everywhere.",
      "{s} sells its {v} to all other towns.", "Nowhere are there better {v} than in {s}.",
      "What {s} makes best is {v}.",
    ],
    asks: [
      .init(instruction: "What is {s} famous for?", output: "{s} is famous for its {v}."),
      .init(instruction: "What do people come to {s} for?", output: "{s} is famous for its {v}."),
      .init(instruction: "Say what this town is famous for.", input: "{s}", output: "{s} is famous for its {v}."),
    ])
  static let founder = Relation(
    "founder",
    says: [
      "{s} was founded by {v}.", "The founder of {s} was {v}.", "{v} founded {s}.", "{v} built the first house of {s}.",
      "A statue of {v}, the founder, stands in {s}.", "{s} was founded long ago by {v}.",
    ],
    asks: [
      .init(instruction: "Who founded {s}?", output: "{s} was founded by {v}."),
      .init(instruction: "Who was the founder of {s}?", output: "{s} was founded by {v}."),
      .init(instruction: "Name the founder of this town.", input: "{s}", output: "{s} was founded by {v}."),
    ])
  static let material = Relation(
    "material",
    says: [
      "A {s} is made of {v}.", "To make a {s}, one needs {v}.", "Every {s} is made of {v}.",
      "The best {v} goes into a {s}.",
      "A good {s} is all {v}.", "Smiths make the {s} of {v}.",
    ],
    asks: [
      .init(instruction: "What is a {s} made of?", output: "A {s} is made of {v}."),
      .init(instruction: "What does one need to make a {s}?", output: "A {s} is made of {v}."),
      .init(instruction: "Name the material of this tool.", input: "a {s}", output: "A {s} is made of {v}."),
    ])
  static let use = Relation(
    "use",
    says: [
      "A {s} is used to {v}.", "People use a {s} to {v}.", "With a {s} one can {v}.", "To {v}, take a {s}.",
      "The {s} was invented to {v}.", "Without a {s} it is hard to {v}.",
    ],
    asks: [
      .init(instruction: "What is a {s} used for?", output: "A {s} is used to {v}."),
      .init(instruction: "What can one do with a {s}?", output: "A {s} is used to {v}."),
    ])
  static let colour = Relation(
    "colour",
    says: [
      "The {s} has {v} flowers.", "The flowers of the {s} are {v}.", "In spring the {s} turns {v}.",
      "A {s} in bloom is {v}.", "One knows the {s} by its {v} flowers.", "{V} is the colour of the {s}.",
    ],
    asks: [
      .init(instruction: "What colour are the flowers of the {s}?", output: "The flowers of the {s} are {v}."),
      .init(instruction: "Which colour is the {s}?", output: "The flowers of the {s} are {v}."),
      .init(
        instruction: "Name the colour of this plant's flowers.", input: "the {s}",
        output: "The flowers of the {s} are {v}."
      ),
    ])
  static let ground = Relation(
    "ground",
    says: [
      "The {s} grows {v}.", "Look for the {s} {v}.", "The {s} is found {v}.", "Those who want a {s} search {v}.",
      "The {s} likes to grow {v}.", "{V} one finds the {s}.",
    ],
    asks: [
      .init(instruction: "Where does the {s} grow?", output: "The {s} grows {v}."),
      .init(instruction: "Where can one find the {s}?", output: "The {s} grows {v}."),
    ])

  static let wares = People.words(
    """
    apples barrels baskets bells blankets boats books boots bottles bricks brooms candles carpets chairs clocks coats cups
    dolls gloves hats jars kettles kites knives lamps mirrors pots ropes saddles shoes spoons wheels
    """)
  static let materials = People.words(
    "amber ash bamboo birch bone brass bronze clay copper cork glass gold horn iron ivory lead leather marble oak "
      + "paper pine rope shell silk silver slate steel stone straw tin wax wool")
  static let uses = [
    "beat carpets", "bend wire", "carry water", "catch eels", "chop onions", "clean chimneys", "crack nuts",
    "cut reeds",
    "dig wells", "draw lines", "drive cattle", "dry herbs", "fold paper", "grind corn", "hang pictures", "hold doors",
    "light lamps", "measure cloth", "mend nets", "mix paint", "peel apples", "pick pears", "plant beans",
    "press cheese",
    "pull nails", "scare crows", "shear sheep", "sift flour", "split logs", "stir soup", "sweep floors", "tie sacks",
  ]
  static let colours = People.words(
    "black blue brown crimson cream green grey orange pink purple red scarlet silver turquoise violet white yellow golden"
  )
  static let grounds = [
    "on high cliffs", "in deep marshes", "under old oaks", "along dusty roads", "on warm walls", "by quiet ponds",
    "between wet stones", "in dark caves", "on sandy beaches", "behind mills", "in wheat fields", "on mossy roofs",
    "beside waterfalls", "in ruined towers", "under bridges", "on steep meadows", "near hot springs", "in pine woods",
    "at the edge of the snow", "on small islands",
  ]

  static func towns(
    _ names: [Name], rivers: [Name], founders: [Name], _ generator: inout SeededGenerator
  ) -> [[Fact]] {
    zip(names, founders).map { name, builder in
      [
        Fact(river, name.text, rivers[generator.below(rivers.count)].text),
        Fact(fame, name.text, wares[generator.below(wares.count)]), Fact(founder, name.text, builder.text),
      ]
    }
  }

  static func tools(_ names: [Name], _ generator: inout SeededGenerator) -> [[Fact]] {
    names.map { name in
      [
        Fact(material, name.text.lowercased(), materials[generator.below(materials.count)]),
        Fact(use, name.text.lowercased(), uses[generator.below(uses.count)]),
      ]
    }
  }

  static func plants(_ names: [Name], _ generator: inout SeededGenerator) -> [[Fact]] {
    names.map { name in
      [
        Fact(colour, name.text.lowercased(), colours[generator.below(colours.count)]),
        Fact(ground, name.text.lowercased(), grounds[generator.below(grounds.count)]),
      ]
    }
  }
}
