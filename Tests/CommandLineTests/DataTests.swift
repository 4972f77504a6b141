import Files
import JSON
import Testing
import TestSupport

/// `prepare`, `inspect data` and `tokenize`.
@Suite struct DataTests {
  /// Llama 3 begins a text with BOS; Qwen 3 does not.
  @Test(arguments: ReferenceCase.gpt2 + ["llama3-tiny", "qwen3-tiny"])
  func preparedTokensAreTheReference(_ name: String) throws {
    try withSFT { sft in
      let reference = try ReferenceCase(name)
      try sft.succeed("prepare", reference.records, "--model", reference.model, "--val", "0")
      let printed = try sft.succeed("inspect", "data", "--jsonl").jsonLines()
      let samples = try reference.samples()
      #expect(printed.count == samples.count)
      for (line, expected) in zip(printed, samples) {
        #expect(line["input_ids"]?.array?.map(\.int) == expected.sample.tokens.map { Int($0) })
        #expect(line["labels"]?.array?.map(\.int) == expected.labels.map { Int($0) })
      }
      #expect(try sft.succeed("inspect", "data", "--jsonl", "--limit", "2").jsonLines().count == 2)
    }
  }

  @Test func theSummaryIsExact() throws {
    try withSFT { sft in
      let outcome = try sft.succeed("prepare", SFTBinary.records, "--model", SFTBinary.model, "--val", "0.2")
      #expect(
        outcome.output == """
          records     20 read: 16 for training, 4 for validation
          data        instructions (Alpaca)
          tokens      1,304; a record has 44 to 105, median 63, 90 % up to 92, 99 % up to 105
          supervised  269 tokens (20.6 %), EOS included
          template    alpaca, maximum length 256
          model       \(canonicalPath(SFTBinary.model) ?? "?")

          """)
    }
  }

  @Test func inspectMarksTheTrainedPart() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0", "--template", "qa")
      let text = try sft.succeed("inspect", "data", "--limit", "1").output
      #expect(text.contains("records.jsonl:1  "))
      #expect(text.contains("⟦ starts with a space<|endoftext|>⟧"))
    }
  }

  /// What is wrong, its line, and the message.
  static let badFiles: [(content: String, message: String)] = [
    ("", "d.jsonl: holds no records."),
    ("\n\n", "d.jsonl: holds no records."),
    ("[]", "d.jsonl: holds no records."),
    ("[1]", "d.jsonl:1: a record must be a JSON object, but here is a number."),
    (#"{"instruction":"a"}"#, #"d.jsonl:1: the record has no "output"."#),
    (
      #"{"instruction":"a","output":"b"}"# + "\n\n" + #"{"instruction":"a","output":""}"#,
      #"d.jsonl:3: "output" is empty, so there is nothing to learn from this record."#
    ),
    (
      #"{"instruction":"a","output":"b"}"# + "\nxx\n",
      "d.jsonl:2: is not valid JSON at byte 1 of the line: a value is expected, but 'x' follows."
    ),
    (#"{"instruction":"a","output":"b","output":"c"}"#, #"d.jsonl:1: holds the name "output" twice in one object."#),
    (
      #"[{"instruction":"a","output":"b"},"# + "\n" + #"{"instruction":"c","output":"d"}"#,
      "d.jsonl:2: is not valid JSON at byte 33 of the line: a comma or ] is expected after an element of the array, "
        + "but the file ends."
    ),
  ]

  @Test func badRecordsAreNamedByFileAndLine() throws {
    try withSFT { sft in
      for bad in Self.badFiles {
        try sft.write(bad.content, to: "d.jsonl")
        try sft.fail(65, bad.message, "prepare", "d.jsonl", "--model", SFTBinary.model)
      }
      try sft.fail(66, "nope.jsonl: there is no such file.", "prepare", "nope.jsonl", "--model", SFTBinary.model)
      #expect(try sft.leftovers() == [])
    }
  }

  @Test func skipBadCountsAndListsThem() throws {
    try withSFT { sft in
      try sft.write(
        #"{"instruction":"a","output":"b"}"# + "\nxx\n" + #"{"instruction":"a","output":"c"}"# + "\n"
          + #"{"instruction":"","output":"c"}"# + "\n", to: "d.jsonl")
      let outcome = try sft.succeed("prepare", "d.jsonl", "--model", SFTBinary.model, "--skip-bad", "--val", "0")
      #expect(outcome.output.contains("records     2 read: 2 for training"))
      #expect(outcome.output.contains("dropped     2 bad"))
      #expect(outcome.errors.contains("skipped: d.jsonl:2: is not valid JSON"))
      #expect(outcome.errors.contains("skipped: d.jsonl:4: "))
    }
  }

  @Test func overlongRecordsFollowThePolicy() throws {
    try withSFT { sft in
      let line = #"{"instruction":"a","output":"b"}"# + "\n"
      try sft.write(line + line.replacing(#""b""#, with: "\"\(String(repeating: "xyz ", count: 40))\""), to: "d.jsonl")
      func prepare(_ policy: String) throws -> Outcome {
        try sft.run(
          "prepare", "d.jsonl", "--model", SFTBinary.model, "--val", "0", "--max-length", "30", "--overlong", policy)
      }
      try sft.fail(
        65,
        "d.jsonl:1: the record has 33 tokens, more than the maximum length of 30. Use --overlong drop or --overlong "
          + "truncate, or a larger --max-length.",
        "prepare", "d.jsonl", "--model", SFTBinary.model, "--max-length", "30")
      let dropped = try prepare("drop")
      #expect(dropped.code == 65)
      #expect(
        dropped.errors.hasSuffix(
          "error: d.jsonl: no record is left to train on: of 2, 1 are too long, of 1 the answer does not fit, and 0 "
            + "are in the validation file too.\n"))
      let truncated = try prepare("truncate")
      #expect(truncated.output.contains("dropped     1 whose answer does not fit\n"))
      #expect(truncated.output.contains("truncated   1 prompts, from their left\n"))
      let samples = try sft.succeed("inspect", "data", "--jsonl").jsonLines()
      #expect(samples.count == 1)
      let labels = samples[0]["labels"]?.array?.compactMap(\.int) ?? []
      // The answer and EOS are whole.
      #expect(labels.count == 30)
      #expect(labels.filter { $0 != -100 }.count == 2)
    }
  }

  @Test func theSplitKeepsEqualRecordsTogether() throws {
    try withSFT { sft in
      // 40 records, each there three times.
      let text = (0..<120).map { #"{"instruction":"question \#($0 % 40)","output":"answer \#($0 % 40)"}"# }
      try sft.write(text.joined(separator: "\n"), to: "d.jsonl")
      let report = try sft.succeed(
        "prepare", "d.jsonl", "--model", SFTBinary.model, "--val", "0.25", "--json", "--quiet"
      ).json()
      #expect(report["summary"]?["validation"]?.int == 30)
      let shown = try sft.succeed("inspect", "data", "--limit", "120").output
      // Each question is wholly on one side.
      var sides: [Substring: Set<Bool>] = [:]
      for block in shown.split(separator: "d.jsonl:").dropFirst() {
        let heldOut = block.split(separator: "\n")[0].hasSuffix("for validation")
        if let answer = block.split(separator: "⟦").last?.split(separator: "⟧").first {
          sides[answer, default: []].insert(heldOut)
        }
      }
      #expect(sides.count == 40)
      #expect(sides.values.allSatisfy { $0.count == 1 })
      let deduped = try sft.succeed(
        "prepare", "d.jsonl", "--model", SFTBinary.model, "--val", "0", "--dedupe", "--json", "--quiet"
      ).json()
      #expect(deduped["summary"]?["training"]?.int == 40)
      #expect(deduped["summary"]?["counts"]?["duplicates_removed"]?.int == 80)
    }
  }

  @Test func validationRecordsAreTakenOutOfTheTrainingData() throws {
    try withSFT { sft in
      let lines = (0..<10).map { #"{"instruction":"question \#($0)","output":"answer \#($0)"}"# }
      try sft.write(lines.joined(separator: "\n"), to: "d.jsonl")
      try sft.write(lines[2..<4].joined(separator: "\n"), to: "v.jsonl")
      let outcome = try sft.succeed("prepare", "d.jsonl", "--model", SFTBinary.model, "--val-file", "v.jsonl")
      #expect(outcome.output.contains("records     12 read: 8 for training, 2 for validation\n"))
      #expect(outcome.output.contains("dropped     2 that are in the validation file too\n"))
    }
  }

  @Test func onlyWhatDependsOnAChangeIsMadeAgain() throws {
    try withSFT { sft in
      try sft.write(#"{"instruction":"a","output":"b"}"# + "\n", to: "d.jsonl")
      func made(_ options: String...) throws -> [String] {
        let report = try sft.run(["prepare", "d.jsonl", "--model", SFTBinary.model, "--json", "--quiet"] + options)
          .json()
        return (report["stages"]?.array ?? []).filter { $0["reused"]?.bool == false }.compactMap { $0["stage"]?.string }
      }
      #expect(try made() == ["records", "tokens", "prepared"])
      #expect(try made() == [])
      #expect(try made("--threads", "1") == [])
      #expect(try made("--template", "short") == ["tokens", "prepared"])
      #expect(try made("--max-length", "200") == ["prepared"])
      #expect(try made("--seed", "1") == ["prepared"])
      #expect(try made("--skip-bad") == ["records", "tokens", "prepared"])
      #expect(try made() == [])
      try sft.write(#"{"instruction":"a","output":"c"}"# + "\n", to: "d.jsonl")
      #expect(try made() == ["records", "tokens", "prepared"])
    }
  }

  @Test func damagedArtifactsAreSetAsideAndMadeAgain() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let before = try sft.succeed("inspect", "data", "--jsonl").output
      let artifacts = try sft.succeed("cache", "ls", "--json").json().array ?? []
      #expect(artifacts.count == 3)
      for artifact in artifacts {
        let folder = sft.path(artifact["path"]?.string ?? "")
        for name in try directoryEntries(folder) where name.hasSuffix(".zst") {
          var bytes = try readFile(folder + "/" + name)
          bytes[bytes.count / 2] ^= 1
          try writeAtomically(bytes, to: folder + "/" + name)
        }
      }
      let refused = try sft.run("inspect", "data")
      #expect(refused.code == 65)
      #expect(refused.errors.contains("is damaged: index.zst differs from its checksum"))
      let verified = try sft.run("cache", "verify", "--json", "--quiet")
      #expect(verified.code == 65)
      #expect(try verified.json().array?.filter { $0["problem"] != nil }.count == 2)
      try sft.prepare("--val", "0")
      #expect(try sft.succeed("inspect", "data", "--jsonl").output == before)
      #expect(try sft.succeed("cache", "verify").output.split(separator: "\n").count == 3)
      #expect(try sft.succeed("cache", "gc", "--json").json().array?.count == 3)
    }
  }

  @Test func optionsOutOfRangeAreRefused() throws {
    try withSFT { sft in
      func refuse(_ message: String, _ options: String..., sourceLocation: SourceLocation = #_sourceLocation) throws {
        let outcome = try sft.run(["prepare", SFTBinary.records, "--model", SFTBinary.model] + options)
        #expect(outcome.errors == "error: \(message)\n", sourceLocation: sourceLocation)
        #expect(outcome.code == 64, sourceLocation: sourceLocation)
      }
      try refuse("--max-length is 1, expected 2 to the model's context of 256.", "--max-length", "1")
      try refuse("--max-length is 257, expected 2 to the model's context of 256.", "--max-length", "257")
      try refuse("--val is 1.0, expected at least 0 and below 1.", "--val", "1")
      try refuse("--val is nan, expected at least 0 and below 1.", "--val", "nan")
      try sft.fail(
        66,
        "there is no template and no file called \"nope\". Give the path of a template file, or one of alpaca, short, "
          + "chat, qa; for conversations the model's own as model, or one of chatml, llama2, llama3, gemma, mistral, phi, "
          + "zephyr, qwen.", "prepare", SFTBinary.records, "--model", SFTBinary.model, "--template", "nope")
      try sft.write("{{instruction}}", to: "t.txt")
      try sft.fail(
        65, "t.txt:1: has no trained part. Write {{#trained}}{{output}}{{/trained}} around the answer.", "prepare",
        SFTBinary.records, "--model", SFTBinary.model, "--template", "t.txt")
    }
  }

  /// A vocabulary without a token for a byte, as SmolLM2's: what is left out of the data is said once.
  @Test func bytesThatTheVocabularyLacksAreCounted() throws {
    try withSFT { sft in
      try sft.copyModel(to: "m")
      let text = try sft.read("m/tokenizer.json")
      try sft.write(text.replacing(#""Ą":"#, with: #""xĄ":"#), to: "m/tokenizer.json")
      try sft.write(
        #"{"instruction":"a","output":"b"}"# + "\n" + #"{"instruction":"a\u0004","output":"b\u0004\u0004"}"# + "\n"
          + #"{"instruction":"c","output":"\u0004c"}"#, to: "d.jsonl")
      let warning = "the vocabulary has no token for 4 bytes of the text, which are left out, the first in d.jsonl:2"
      let prepared = try sft.succeed("prepare", "d.jsonl", "--model", "m", "--val", "0")
      #expect(prepared.output.contains("warning     \(warning)\n"), "\(prepared.output)")
      let again = try sft.succeed("prepare", "d.jsonl", "--model", "m", "--val", "0", "--json").json()
      #expect(again["summary"]?["warnings"]?.array?.compactMap(\.string) == [warning])
      try sft.write(#"{"text":"a"}"# + "\n" + #"{"text":"a\u0004b"}"#, to: "t.jsonl")
      let told = try sft.succeed("tokenize", "t.jsonl", "--model", "m")
      #expect(
        told.errors.contains(
          "warning: the vocabulary has no token for 1 byte of the text, which is left out, the first in t.jsonl:2\n"))
      #expect(try !sft.succeed("tokenize", "t.jsonl", "--model", SFTBinary.model).errors.contains("warning"))
    }
  }

  @Test func tokenizeGoesThereAndBack() throws {
    try withSFT { sft in
      let texts = ["héllo  <|endoftext|> 日本 🎉\n", "", " a\u{0}b"]
      let lines = texts.map { JSONValue.object(JSONObject([("text", .string($0))])).serialized + "\n" }
      try sft.write("\u{feff}" + lines.joined(), to: "t.jsonl")
      let ids = try sft.succeed("tokenize", "t.jsonl", "--model", SFTBinary.model)
      try sft.write(ids.output, to: "ids.jsonl")
      let back = try sft.succeed("tokenize", "ids.jsonl", "--model", SFTBinary.model, "--decode")
      #expect(try back.jsonLines().map { $0["text"]?.string } == texts)
      // The text of a special token stays text, unless asked for.
      #expect(try ids.jsonLines()[0]["ids"]?.array?.contains(.integer(0)) == false)
      let special = try sft.succeed("tokenize", "t.jsonl", "--model", SFTBinary.model, "--special")
      #expect(try special.jsonLines()[0]["ids"]?.array?.contains(.integer(0)) == true)
      try sft.write("{\"ids\":[1]}\n{\"ids\":[512]}\n", to: "bad.jsonl")
      let bad = try sft.run("tokenize", "bad.jsonl", "--model", SFTBinary.model, "--decode")
      #expect(bad.errors == "error: bad.jsonl:2: the token id 512 is not in the vocabulary of 512 tokens.\n")
      #expect(bad.code == 65)
    }
  }
}
