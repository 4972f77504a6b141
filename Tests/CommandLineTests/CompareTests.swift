import Files
import JSON
import TestSupport
import Testing

/// `sft compare` and `sft report` as a user runs them.
@Suite struct CompareTests {
  static let adapter = SFTBinary.tiny + "/adapter"

  private static let questions = """
    {"instruction":"한국의 수도는? 😀","output":"서울 </script><img src=x onerror=alert(1)>"}
    {"instruction":"Which is a number?","choices":["otter","7"],"answer":"7"}
    {"instruction":"Say something.","input":"Below"}
    """

  private static func compare(_ arguments: String...) -> [String] {
    ["compare", "--model", SFTBinary.model, "--max-new-tokens", "6"] + arguments
  }

  @Test func everythingIsInOneFile() throws {
    try withSFT { sft in
      try sft.write(Self.questions, to: "q.jsonl")
      let run = Self.compare(
        "--adapter", Self.adapter, "--adapter", Self.adapter, "--questions", "q.jsonl", "--out", "o")
      let shown = try sft.run(run)
      #expect(shown.code == 0)
      #expect(shown.output.contains("한국의 수도는? 😀") && shown.output.contains("adapter 2 against base"))
      for line in shown.output.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
      let comparison = try parseJSONFile(sft.path("o/compare.json"))
      let items = try #require(comparison["items"]?.array)
      #expect(items[0]["reference"]?.string == "서울 </script><img src=x onerror=alert(1)>")
      #expect(items[1]["choices"]?.array?.count == 2 && items[1]["answer"]?.int == 1)
      // The same adapter twice answers the same.
      for item in items { #expect(item["adapters"]?.array?.first == item["tuned"]) }
      #expect(comparison["summary"]?["adapter_differences"]?.array?[0] == comparison["summary"]?["differences"])
      #expect(comparison["settings"]?["rouge_words"]?.string == "unicode")
      #expect(items[0]["tuned"]?["measures"]?["reference"]?["loss"]?.double ?? 0 > 0)
      let page = try sft.read("o/compare.html")
      #expect(!page.contains("</script><img") && page.contains("\\u003c/script\\u003e\\u003cimg src=x"))
      // Again: the same bytes, but for the command and when it was given. One at a time: the same texts.
      #expect(try sft.run(run.map { $0 == "o" ? "again" : $0 }).code == 0)
      let origin = /"origin":{"command":"sft compare [^"]*","date":"[0-9]{4}-[^"]*Z"}/
      #expect(page.contains(origin))
      #expect(!(try sft.read("o/compare.json")).contains("\"origin\""))
      #expect(try sft.read("again/compare.html").replacing(origin, with: "") == page.replacing(origin, with: ""))
      #expect(try sft.read("again/compare.json") == sft.read("o/compare.json"))
      #expect(try sft.run(run.map { $0 == "o" ? "single" : $0 } + ["--batch-size", "1"]).code == 0)
      let single = try parseJSONFile(sft.path("single/compare.json"))["items"]?.array ?? []
      for side in ["base", "tuned"] {
        #expect(single.map { $0[side]?["text"]?.string } == items.map { $0[side]?["text"]?.string })
      }
      #expect(try sft.leftovers() == [])
    }
  }

  @Test func votesAreCountedForTheirComparisonOnly() throws {
    try withSFT { sft in
      try sft.write("one\ntwo\nthree\nfour\n", to: "q.txt")
      let blind = Self.compare("--adapter", Self.adapter, "--questions", "q.txt", "--blind")
      let outcome = try sft.run(blind)
      #expect(outcome.code == 0)
      // Nothing that is printed or in the page tells the models apart.
      let id = try #require(try directoryEntries(sft.path(".sft/compare")).first)
      let folder = ".sft/compare/\(id)"
      let page = try sft.read(folder + "/compare.html")
      #expect(!page.contains("\"tuned\"") && !page.contains("\"base\"") && !page.contains(Self.adapter))
      #expect(!outcome.output.contains("tuned"))
      let digest = try Digest(ofFile: sft.path(folder + "/compare.json"))
      #expect(page.contains(digest.hex))
      let votes = "{\"kind\":\"sft-votes\",\"comparison\":\"\(digest)\",\"votes\":"
      try sft.write(
        votes + #"[{"item":0,"vote":"left"},{"item":1,"vote":"left"},{"item":2,"vote":"tie"}]}"#, to: "votes.json")
      let count = try sft.succeed("compare", "--score", "votes.json", "--json", "--quiet").json()
      #expect(count["count"]?["votes"]?.int == 3 && count["count"]?["ties"]?.int == 1)
      #expect((count["count"]?["tuned"]?.int ?? 0) + (count["count"]?["base"]?.int ?? 0) == 2)
      // The page gave the text of whoever is said to be preferred.
      let comparison = try parseJSONFile(sft.path(folder + "/compare.json"))
      let preferred = try #require(count["items"]?.array?[0]["preferred"]?.string)
      let text = try #require(comparison["items"]?.array?[0][preferred]?["text"]?.string)
      #expect(page.contains("\"left\":\(JSONValue.string(text).serialized.replacing("<", with: "\\u003c"))"))
      #expect(try sft.read(folder + "/votes.html").contains("\"votes\":["))
      let shown = try sft.succeed("compare", "--score", "votes.json")
      #expect(shown.output.hasPrefix("3 of 4 questions voted on\n"))
      // Of another comparison, or of one that was changed since.
      try sft.succeed(
        "compare", "--model", SFTBinary.model, "--adapter", Self.adapter, "--questions", "q.txt",
        "--max-new-tokens", "5", "--out", "other", "--quiet")
      let other = try Digest(ofFile: sft.path("other/compare.json"))
      try sft.fail(
        65,
        "votes.json: the votes are on another comparison (\(digest.short)) than this one (\(other.short)).", "compare",
        "--score", "votes.json", "--out", "other")
      try sft.write(votes.replacing(digest.hex, with: Digest(of: "?").hex) + "[]}", to: "strange.json")
      try sft.fail(
        65,
        "strange.json: the votes are on a comparison (\(Digest(of: "?").short)) that is not in .sft/compare. "
          + "Give its folder with --out.", "compare", "--score", "strange.json")
      try sft.fail(
        65,
        "q.json: is not a file of votes. Open compare.html of a comparison made with --blind, vote, and download the "
          + "votes.", "compare", "--score", writing("{}", to: "q.json", sft))
    }
  }

  private func writing(_ text: String, to name: String, _ sft: SFTBinary) throws -> String {
    try sft.write(text, to: name)
    return name
  }

  /// Two models with tokenizers of their own: what counts tokens is left out, bits per byte is there.
  @Test func twoModelsAreCompared() throws {
    try withSFT { sft in
      try sft.write(Self.questions, to: "q.jsonl")
      let odd = fixturesFolder + "/gpt2-odd/model"
      let other = try sft.run(
        Self.compare("--model-b", odd, "--template-b", "qa", "--questions", "q.jsonl", "--json", "--quiet")
      ).json()
      #expect(other["settings"]?["model_b"]?.string == odd)
      #expect(other["settings"]?["template_b"]?.string == "qa")
      let measures = (other["summary"]?["differences"]?.array ?? []).compactMap { $0["measure"]?.string }
      #expect(measures.contains("bits_per_byte") && measures.contains("choice_accuracy"))
      let same = try parseJSONFile(odd + "/tokenizer.json") == parseJSONFile(SFTBinary.model + "/tokenizer.json")
      #expect(measures.contains("loss") == same)
      #expect(other["settings"]?["same_tokenizer"]?.bool == same)
      for (index, instruction) in [(1, "Which is a number?")] {
        let alone = try sft.run(
          [
            "generate", "--model", odd, "--template", "qa", "--instruction", instruction, "--max-new-tokens", "6",
            "--json",
            "--quiet",
          ]
        ).json()
        #expect(other["items"]?.array?[index]["tuned"]?["text"]?.string == alone["text"]?.string)
      }
    }
  }

  @Test func wrongUseIsSaid() throws {
    try withSFT { sft in
      try sft.write("one\n", to: "q.txt")
      for arguments in [
        ["compare"], ["compare", "--questions", "q.txt", "--score", "v.json"],
        ["compare", "--questions", "q.txt", "--template-b", "qa"],
        ["compare", "--questions", "q.txt", "--batch-size", "0"],
        ["compare", "--questions", "q.txt", "--model-b", "x", "--adapter", "a", "--adapter", "b"],
        ["compare", "--questions", "q.txt", "--rouge-words", "klingon"],
      ] {
        #expect(try sft.run(arguments).code == 64, "\(arguments)")
      }
      for (options, message) in [
        (["--min-p", "1.5"], "min-p must be from 0 to 1"),
        (["--repetition-penalty", "0"], "the repetition penalty must be above 0 (1 for none)"),
        (["--num-beams", "0"], "the number of beams must be from 1 to 64"),
      ] {
        let outcome = try sft.run(["generate", "--model", SFTBinary.model, "--prompt", "a"] + options)
        #expect(outcome.errors == "error: \(message).\n")
        #expect(outcome.code == 64)
      }
      let outcome = try sft.run(
        "generate", "--model", SFTBinary.model, "--prompt", "a", "--max-new-tokens", "2", "--top-k", "3", "--min-p",
        "0.1")
      #expect(outcome.errors.hasPrefix("--top-k and --min-p have no effect at temperature 0.\n"))
      #expect(outcome.code == 0)
    }
  }

  @Test func aJudgeThatIsNotThereIsFoundOutFirst() throws {
    try withSFT { sft in
      sft.environment["SFT_JUDGE_API_KEY"] = "not-to-be-written"
      try sft.write("one\ntwo\n", to: "q.txt")
      func run(_ url: String) throws -> Outcome {
        try sft.run(
          Self.compare("--adapter", Self.adapter, "--questions", "q.txt", "--out", "o", "--judge", url, "--quiet"))
      }
      let absent = try run("http://127.0.0.1:1")
      #expect(absent.code == 74 && absent.output == "")
      #expect(
        absent.errors
          == "error: http://127.0.0.1:1/chat/completions: the judge does not answer: connection refused. See whether "
          + "--judge is right and runs; verdicts it gave are kept and not asked for again.\n")
      for (behaviour, code): (MisbehavingServer.Behaviour, Int32) in [
        (.reply("Both are fine"), 65), (.status(401, headers: ""), 74), (.status(404, headers: ""), 74),
      ] {
        let server = try MisbehavingServer { _, _ in behaviour }
        defer { server.stop() }
        let outcome = try run(server.url)
        #expect(outcome.code == code && outcome.output == "" && server.requests.count == 1)
      }
      // Nothing was answered.
      #expect(try !fileExists(sft.path("o/compare.json")))
      try sft.fail(
        64, "the judge's address must begin with http:// or https://. Give --judge URL.", "compare", "--questions",
        "q.txt",
        "--judge", "localhost")
      #expect(try sft.run("compare", "--questions", "q.txt", "--judge-budget", "3").code == 64)
      sft.environment["PATH"] = "/nowhere"
      try sft.fail(
        66, "there is no program curl, through which a judge is asked. Install curl.", "compare", "--questions",
        "q.txt",
        "--judge", "http://127.0.0.1:1")
    }
  }

  /// What a judge that goes away costs: the judgements it did not give, and nothing else.
  @Test func answersAndVerdictsOutliveTheJudge() throws {
    try withSFT { sft in
      sft.environment["SFT_JUDGE_API_KEY"] = "not-to-be-written"
      try sft.write("one\ntwo\nthree\nfour\nfive\n", to: "q.txt")
      func judged(_ script: @escaping @Sendable (Int) -> MisbehavingServer.Behaviour) throws
        -> (outcome: Outcome, comparison: JSONValue)
      {
        let server = try MisbehavingServer { number, _ in script(number) }
        defer { server.stop() }
        let outcome = try sft.run(
          Self.compare("--adapter", Self.adapter, "--questions", "q.txt", "--out", "o", "--judge", server.url))
        for name in ["compare.json", "compare.html"] {
          #expect(!(try sft.read("o/" + name)).contains("not-to-be-written"))
        }
        return (outcome, try parseJSONFile(sft.path("o/compare.json")))
      }
      // One for the probe, two for the first question.
      let half = try judged { $0 < 3 ? .reply("[[A]]") : .status(403, headers: "") }
      #expect(half.outcome.code == 74)
      let failure = "the judge refuses the request with status 403; 1 of 5 questions are judged"
      #expect(half.outcome.errors.contains(failure + "."))
      #expect(half.outcome.output.contains("preferred by the judge") && half.outcome.output.contains(", of 1 judged"))
      #expect(half.comparison["summary"]?["judge"]?["votes"]?.int == 1)
      #expect(half.comparison["summary"]?["judge_failure"]?.string == failure)
      let none = try judged { $0 == 0 ? .reply("[[A]]") : .reply("Hm") }
      #expect(none.outcome.code == 65)
      #expect(none.outcome.errors.contains("no reply of the judge holds a verdict; 0 of 5 questions are judged."))
      #expect(!none.outcome.output.contains("preferred by the judge"))
      #expect(none.comparison["summary"]?.object != nil && none.comparison["summary"]?["judge"] == nil)
      #expect(none.comparison["settings"]?["judge"]?.string?.hasPrefix("http://127.0.0.1:") == true)
      let whole = try judged { _ in .reply("[[A]]") }
      #expect(whole.outcome.code == 0 && !whole.outcome.output.contains(" judged\n"))
      #expect(whole.comparison["summary"]?["judge"]?["votes"]?.int == 5)
    }
  }

  @Test func runsAreReported() throws {
    try withSFT { sft in
      try sft.fail(66, "there is no run in .sft/runs. Train one with `sft train`.", "report")
      try sft.prepare("--val", "0.2")
      try sft.succeed("train", "--max-steps", "4", "--eval-every", "2", "--quiet")
      let metrics = sft.path(".sft/runs/run-1/metrics.jsonl")
      // What a killed run left half-written is passed over.
      try writeAtomically(try readFile(metrics) + Array("{\"kind\":\"tra".utf8), to: metrics)
      #expect(try sft.succeed("report").output == "written to .sft/runs/run-1/report.html\n")
      let page = try sft.read(".sft/runs/run-1/report.html")
      for part in [
        "\"kind\":\"sample\"", "\"kind\":\"eval\"", "\"grad_norm\"", "\"planned\":4", "\"state\":\"finished\"",
        "[\"learning rate\",\"2e-4, linear to 0, no warm-up\"]", "[\"length\",\"4 updates\"]",
        "\"command\":\"sft train --max-steps 4 --eval-every 2 --quiet\"", "[\"gradient norm at most (0: any)\",\"1\"]",
      ] {
        #expect(page.contains(part), "\(part)")
      }
      #expect(page.contains(/"date":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z"/))
      let named = try sft.succeed("report", "run-1", "--out", "r.html", "--json").json()
      #expect(named["path"]?.string == "r.html")
      #expect(try sft.read("r.html") == page)
      try sft.fail(66, "there is no run 'x' in .sft/runs. Those that are there: run-1.", "report", "x")
      // Runs from before the command was recorded stay readable.
      try removeTree(sft.path(".sft/runs/run-1/origin.json"))
      #expect(try sft.run("report", "--out", "old.html").code == 0)
      #expect(!(try sft.read("old.html")).contains("\"origin\""))
    }
  }
}
