import Files
import JSON
import Testing
import TestSupport

/// Data, questions and texts that come through standard input and pipes.
@Suite struct PipeTests {
  static let records = SFTBinary.records
  static let model = SFTBinary.model

  @Test func preparedDataIsTheSameFromAPipe() throws {
    try withSFT { sft in
      sft.environment["TMPDIR"] = sft.path("temporary")
      try createDirectory(sft.path("temporary"))
      let whole = try sft.succeed("prepare", Self.records, "--model", Self.model, "--json").json()
      for source in [
        "cat '\(Self.records)' | sft prepare -", "cat '\(Self.records)' | sft prepare /dev/stdin",
        "sft prepare - < '\(Self.records)'", "sft prepare <(cat '\(Self.records)')",
      ] {
        let outcome = try sft.shell("\(source) --model '\(Self.model)' --json")
        #expect(outcome.code == 0, "\(source): \(outcome.errors)")
        #expect(try outcome.json()["summary"]?["sources"] == whole["summary"]?["sources"], "\(source)")
        #expect(outcome.errors.contains("records: already there"), "\(source)")
      }
      #expect(try sft.succeed("inspect", "data", "--limit", "1").output.contains("/dev/fd/"))
      let again = try sft.shell("cat '\(Self.records)' | sft prepare - --model '\(Self.model)' --json")
      #expect(again.errors.contains("prepared: already there"))
      #expect(try sft.succeed("inspect", "data", "--limit", "1").output.contains("standard input:1  "))
      #expect(try directoryEntries(sft.path("temporary")) == [])
      #expect(try sft.leftovers() == [])
    }
  }

  @Test func errorsNameStandardInputAndItsLine() throws {
    try withSFT { sft in
      let lines = #"{"instruction":"a","output":"b"}\n\n{"instruction":"c"}\n"#
      for (command, message) in [
        ("sft prepare - --model '\(Self.model)'", "standard input:3: the record has no \"output\"."),
        ("sft eval --model '\(Self.model)' --data -", "standard input:3: the record has no \"output\"."),
        ("sft compare --questions - --model '\(Self.model)'", "standard input: is a zip archive"),
        (
          "sft prepare - --val-file - --model '\(Self.model)'",
          "standard input can be given only once: it is read to its end."
        ),
      ] {
        let text = command.contains("compare") ? "PK\\3\\4" : lines
        let outcome = try sft.shell("printf '\(text)' | \(command) --quiet")
        #expect(outcome.errors.hasPrefix("error: " + message), "\(command): \(outcome.errors)")
        #expect(outcome.code == (command.contains("--val-file") ? 64 : 65))
      }
    }
  }

  @Test func everyVerbReadsStandardInput() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      try sft.succeed("train", "--max-steps", "2", "--quiet")
      try sft.write("{\"text\": \"some text\"}\n", to: "t.jsonl")
      try sft.write("What?\nWhy?\n", to: "q.txt")
      for (file, verb) in [
        (Self.records, "eval --json --data"), ("t.jsonl", "tokenize"),
        ("q.txt", "compare --json --max-new-tokens 3 --questions"),
      ] {
        let fromFile = try sft.shell("sft \(verb) '\(file)' --quiet")
        let fromPipe = try sft.shell("cat '\(file)' | sft \(verb) - --quiet")
        #expect(fromFile.code == 0 && fromPipe.code == 0, "\(verb): \(fromPipe.errors)")
        #expect(fromPipe.output.replacing("standard input", with: file) == fromFile.output, "\(verb)")
      }
    }
  }

  @Test func aQuestionNeedsNoOption() throws {
    try withSFT { sft in
      func answer(_ line: String) throws -> JSONValue? {
        let outcome = try sft.shell("\(line) --model '\(Self.model)' --max-new-tokens 8 --json --quiet")
        #expect(outcome.code == 0, "\(line): \(outcome.errors)")
        return try outcome.json()["token_ids"]
      }
      let expected = try answer("sft generate --instruction 'What is\nred?' --input 'a b'")
      #expect(try answer("sft generate 'What is\nred?' --input 'a b'") == expected)
      #expect(try answer("printf 'What is\\nred?\\n' | sft generate - --input 'a b'") == expected)
      #expect(try answer("printf 'What is\\nred?' | sft generate --instruction - --input 'a b'") == expected)
      #expect(try answer("printf 'a b' | sft generate 'What is\nred?' --input -") == expected)
      #expect(try answer("printf 'one two' | sft generate --prompt -") == answer("sft generate --prompt 'one two'"))
      let notText = try sft.shell("printf 'a\\xff' | sft generate - --quiet")
      #expect(notText.errors == "error: standard input: is not valid UTF-8.\n")
      #expect(try sft.run("generate", "a", "--instruction", "b").code == 64)
      #expect(try sft.run("generate").code == 64)
    }
  }
}
