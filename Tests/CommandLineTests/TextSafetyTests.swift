import Artifacts
import Core
import Files
import JSON
import Pipeline
import Testing
import TestSupport

/// Text from outside comes out as it went in, and does nothing to the terminal on its way.
@Suite struct TextSafetyTests {
  @Test func escapedPairsAreTheCharactersThemselves() throws {
    try withSFT { sft in
      let escaped = #"{"instruction":"\ud837\udf2b","output":"\uD876\uDC12 \ud800\udc00"}"#
      try sft.write(escaped + "\n", to: "escaped.jsonl")
      try sft.write("{\"instruction\":\"\u{1df2b}\",\"output\":\"\u{2d812} \u{10000}\"}\n", to: "raw.jsonl")
      let tokens = try ["escaped", "raw"].map { name in
        try sft.succeed("prepare", "\(name).jsonl", "--model", SFTBinary.model, "--val", "0")
        return try sft.succeed("inspect", "data", "--jsonl").output
      }
      #expect(tokens[0] == tokens[1])
      #expect(try sft.succeed("inspect", "data").output.contains("\u{2d812} \u{10000}"))
    }
  }

  /// What an older reader prepared may lack characters.
  @Test func dataThatAnotherVersionPreparedIsNotUsed() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      let store = ArtifactStore(workspace: sft.path(".sft"))
      let newest = try #require(store.latest("prepared"))
      let current = try #require(try store.existing(newest, PreparedSummary.self))
      let key = ArtifactKey(
        stage: newest.stage, version: current.version - 1, settings: current.settings, inputs: current.inputs)
      let old = try store.artifact(key) { writer in
        for file in current.files {
          try writeAtomically(try readFile(try current.file(file.name)), to: writer.path(file.name))
        }
        return current.summary
      }
      try store.setLatest("prepared", old.reference)
      for command in [["train", "--max-steps", "1"], ["inspect", "data"]] {
        let outcome = try sft.run(command)
        #expect(outcome.code == 65)
        #expect(outcome.errors.contains("was prepared by a version of sft"))
        #expect(outcome.errors.hasSuffix("a run on this data has to start anew.\n"))
      }
      try sft.prepare("--val", "0.2")
      #expect(try sft.run("inspect", "data").code == 0)
    }
  }

  @Test func controlAndBidirectionalCharactersAreShownAsEscapes() throws {
    try withSFT { sft in
      let name = "a\u{202e}b\u{1b}c.jsonl"
      try sft.write("{\"instruction\":\"a\u{2066}q\",\"output\":\"\u{200f}x\"}\n", to: name)
      let prepared = try sft.succeed("prepare", name, "--model", SFTBinary.model, "--val", "0", "--skip-bad")
      let shown = try sft.succeed("inspect", "data").output
      #expect(shown.contains("a\\u{202e}b\\u{1b}c.jsonl:1"))
      #expect(shown.contains("a\\u{2066}q"))
      #expect(shown.contains("\\u{200f}x"))
      try sft.write("{\"instruction\":\"a\"}\n", to: name)
      let failed = try sft.run("prepare", name, "--model", SFTBinary.model, "--quiet")
      #expect(failed.errors == "error: a\\u{202e}b\\u{1b}c.jsonl:1: the record has no \"output\".\n")
      let missing = try sft.run("inspect", "model", "x\u{202e}y")
      let mistyped = try sft.run("inspect", "data", "--x\u{202e}y")
      #expect(mistyped.errors.contains("'--x\\u{202e}y'"))
      #expect(mistyped.code == 64)
      for text in [prepared.output, prepared.errors, shown, failed.errors, missing.errors, mistyped.errors] {
        #expect(!text.unicodeScalars.contains { ["\u{202e}", "\u{2066}", "\u{200f}", "\u{1b}"].contains($0) })
      }
      // Data for programs is exact.
      let text = "{\"text\":\"a\u{202e}b\"}\n"
      try sft.write(text, to: "text.jsonl")
      let ids = try sft.succeed("tokenize", "text.jsonl", "--model", SFTBinary.model).output
      try sft.write(ids, to: "ids.jsonl")
      #expect(try sft.succeed("tokenize", "ids.jsonl", "--decode", "--model", SFTBinary.model).output == text)
    }
  }

  @Test func printableTextIsLeftAlone() {
    for text in ["", "plain\n\tö 한 👩‍👩‍👧 e\u{301} \u{1df2b}", "שלום", "ه‌ا"] { #expect(printable(text) == text) }
    #expect(printable("\u{7f}\u{85}\u{2028}\u{61c}\r") == "\\u{7f}\\u{85}\\u{2028}\\u{61c}\\u{d}")
  }
}
