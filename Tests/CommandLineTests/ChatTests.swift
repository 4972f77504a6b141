import Files
import JSON
import TestSupport
import Testing

/// `sft chat` through a pipe.
@Suite struct ChatTests {
  private static let options = "--model '\(SFTBinary.model)' --max-new-tokens 6"
  private static let adapter = "--adapter '\(SFTBinary.tiny)/adapter'"

  /// What `sft chat` did with these lines.
  private static func chat(_ sft: SFTBinary, _ lines: String..., options: String = options) throws -> Outcome {
    try sft.write(lines.map { $0 + "\n" }.joined(), to: "lines")
    return try sft.shell("sft chat \(options) < lines")
  }

  /// What `sft generate` answers to messages, by turns the user's and the assistant's, the system's in front.
  private static func answer(_ sft: SFTBinary, _ texts: [String], system: String? = nil, adapted: Bool = false) throws
    -> String
  {
    var messages = texts.enumerated().map { (["user", "assistant"][$0 % 2], $1) }
    if let system { messages.insert(("system", system), at: 0) }
    let values = messages.map {
      JSONValue.object(JSONObject([("role", .string($0)), ("content", .string($1))])).serialized
    }
    try sft.write("[" + values.joined(separator: ",") + "]", to: "messages")
    let outcome = try sft.shell("sft generate \(options) \(adapted ? adapter : "") --messages messages --quiet")
    #expect(outcome.code == 0, "\(outcome.errors)")
    return String(outcome.output.dropLast())
  }

  @Test func aTurnIsAnsweredAfterThoseBeforeIt() throws {
    try withSFT { sft in
      let first = try Self.answer(sft, ["Name a colour."])
      let second = try Self.answer(sft, ["Name a colour.", first, "Another?"])
      let third = try Self.answer(sft, ["Name a colour.", first, "Another?", second, "Why?"])
      let outcome = try Self.chat(sft, "Name a colour.", "", "Another?\r", "Why?")
      #expect(outcome.output == [first, second, third].map { $0 + "\n" }.joined())
      #expect(outcome.code == 0 && !outcome.errors.contains("\u{1b}") && !outcome.errors.contains("> "))
      #expect(outcome.errors.contains("the base alone\ntemplate alpaca, turn by turn\n"), "\(outcome.errors)")
    }
  }

  @Test func whoAnswersIsSwitchedWithinTheConversation() throws {
    try withSFT { sft in
      let tuned = try Self.answer(sft, ["Name a colour."], adapted: true)
      let base = try Self.answer(sft, ["Name a colour.", tuned, "Another?"])
      let again = try Self.answer(sft, ["Name a colour.", tuned, "Another?", base, "Why?"], adapted: true)
      let outcome = try Self.chat(
        sft, "Name a colour.", "/base", "Another?", "/tuned", "Why?", options: Self.options + " " + Self.adapter)
      #expect(outcome.output == [tuned, base, again].map { $0 + "\n" }.joined())
      #expect(outcome.errors.contains("The base answers.\nWhat was trained answers."), "\(outcome.errors)")
    }
  }

  @Test func theModelThatARunMadeAnswersOrWhatItBeganAs() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.succeed("train", "--full", "--max-steps", "3", "--lr", "1e-2", "--quiet")
      let alone = try sft.shell("echo Hello | sft chat --max-new-tokens 6 --quiet").output
      let base = try Self.answer(sft, ["Hello", String(alone.dropLast()), "Why?"])
      let outcome = try sft.shell("printf 'Hello\\n/base\\nWhy?\\n' | sft chat --max-new-tokens 6 --quiet")
      #expect(outcome.output == alone + base + "\n" && outcome.errors == "")
      #expect(try Self.answer(sft, ["Hello"]) + "\n" != alone)
    }
  }

  @Test func theSystemsTurnIsKeptWhereTheRestIsForgotten() throws {
    try withSFT { sft in
      let first = try Self.answer(sft, ["Hello"], system: "Be short.")
      let second = try Self.answer(sft, ["Hello", first, "Why?"], system: "Be long.")
      let last = try Self.answer(sft, ["Hello"], system: "Be long.")
      let bare = try Self.answer(sft, ["Hello"])
      #expect(Set([first, last, bare]).count > 1)
      let lines = [
        "Hello", "/system  Be long.", "Why?", "/reset", "Hello", "/system", "/reset", "Hello", "/quit", "Hello",
      ]
      try sft.write(lines.joined(separator: "\n"), to: "lines")
      let outcome = try sft.shell("sft chat \(Self.options) --system 'Be short.' < lines")
      #expect(outcome.output == [first, second, last, bare].map { $0 + "\n" }.joined())
      let value = try sft.shell("head -n 3 lines | sft chat \(Self.options) --json --quiet").json()
      let texts = (value["messages"]?.array ?? []).compactMap { $0["content"]?.string }
      #expect(texts.count == 5 && texts.starts(with: ["Be long.", "Hello"]) && texts[3] == "Why?")
    }
  }

  @Test func theOldestTurnsMakeRoom() throws {
    try withSFT { sft in
      let questions = (1...12).map { "Question number \($0) of a long list" }
      try sft.write(questions.map { $0 + "\n" }.joined(), to: "lines")
      let outcome = try sft.shell("sft chat \(Self.options) --system 'Be short.' --json < lines")
      #expect(outcome.code == 0)
      let texts = try (outcome.json()["messages"]?.array ?? []).dropFirst().compactMap { $0["content"]?.string }
      #expect(texts.count == 24)
      let words = outcome.errors.split(separator: "tokens is full: the oldest ").dropFirst()
      #expect(words.count > 1)
      for word in words {
        // "4 of 6 turns are no longer shown to the model."
        let numbers = word.split(separator: " ").prefix(3).compactMap { Int($0) }
        try #require(numbers.count == 2 && numbers[0] < numbers[1], "\(outcome.errors)")
        let answer = try Self.answer(sft, Array(texts[numbers[0]...numbers[1]]), system: "Be short.")
        #expect(answer == texts[numbers[1] + 1], "\(word)")
      }
    }
  }

  @Test(arguments: [
    (
      "/nonsense", 64,
      "there is no command /nonsense. /help lists them, and a message that begins with / is written with //."
    ),
    ("/reset all", 64, "/reset takes no text."),
    ("/tuned", 64, "there is only the base: no run or adapter is used. Start with --adapter or --run for both."),
  ]) func aFaultyLineIsNamed(_ line: String, _ code: Int32, _ message: String) throws {
    try withSFT { sft in
      let outcome = try Self.chat(sft, "Hello", line, "Hello", options: Self.options + " --quiet")
      #expect(outcome.errors == "error: standard input:2: \(message)\n")
      #expect(outcome.code == code && outcome.output.split(separator: "\n").count <= 1)
    }
  }

  @Test func whatIsNoMessageIsRefused() throws {
    try withSFT { sft in
      let notText = try sft.shell("printf 'a\\nb\\xff\\n' | sft chat \(Self.options) --quiet")
      #expect(notText.code == 65 && notText.errors == "error: standard input:2: is not valid UTF-8.\n")
      try sft.write(String(repeating: "word ", count: 3000), to: "long.txt")
      let long = try sft.shell("sft chat \(Self.options) --quiet --json < long.txt")
      #expect(long.code == 65 && long.errors.hasPrefix("error: standard input:1: the prompt has "), "\(long.errors)")
      #expect(try long.json()["error"]?["line"]?.int == 1)
      #expect(try sft.shell("sft chat \(Self.options) --template none < /dev/null").code == 64)
      #expect(try sft.shell("sft chat \(Self.options) --quiet < /dev/null").output == "")
      #expect(try sft.shell("sft chat nonsense").code == 64)
    }
  }

  @Test func commandsAreListedAndSlashesEscaped() throws {
    try withSFT { sft in
      let outcome = try Self.chat(sft, "/help", "//reset", options: Self.options + " --quiet")
      #expect(outcome.errors.contains("/system TEXT") && outcome.code == 0)
      #expect(outcome.output == (try Self.answer(sft, ["/reset"])) + "\n")
    }
  }
}
