import Files
import Foundation
import JSON
import Pipeline
import TestSupport
import Testing

/// `export --verify PYTHON`, with programs that answer as the scripts do: what is compared with the real tools' logits, only those
/// who have them can see.
@Suite struct VerifyTests {
  static let adapter = SFTBinary.tiny + "/adapter"

  /// Makes `python`, which lacks nothing, and does `body` when it is asked to compare; the request is in `$request`.
  private func makePython(_ sft: SFTBinary, _ body: String, missing: String = "[]") throws {
    let script = """
      #!/bin/sh
      IFS= read -r request
      case "$request" in
      *'"prompts"'*) ;;
      *) echo '{"missing":\(missing)}'; exit 0 ;;
      esac
      \(body)
      """
    try sft.write(script, to: "python")
    #expect(chmod(sft.path("python"), 0o755) == 0)
  }

  /// An answer for ten prompts, all alike but for the first's difference.
  private static func answer(
    difference: String = "0.0001", prompt: String = #"{"difference":0,"compared":2,"agreeing":2}"#,
    tokens: String = "null"
  ) -> String {
    let first = #"{"difference":\#(difference),"compared":2,"agreeing":1,"position":1,"margin":0.25}"#
    let prompts = ([first] + Array(repeating: prompt, count: 9)).joined(separator: ",")
    let ids = ([tokens] + Array(repeating: "null", count: 9)).joined(separator: ",")
    return #"{"missing":[],"tool":"a tool 1.2","checks":[{"name":"","prompts":[\#(prompts)]}],"tokens":[\#(ids)]}"#
  }

  private func export(_ sft: SFTBinary, _ arguments: String...) throws -> Outcome {
    try sft.run(
      ["export", "--model", SFTBinary.model, "--adapter", Self.adapter, "--to", "out", "--quiet"]
        + (arguments.contains("--verify") ? arguments : ["--verify", "./python"] + arguments))
  }

  private func lastError(_ outcome: Outcome) -> String {
    outcome.errors.split(separator: "\n").last.map(String.init) ?? ""
  }

  @Test func agreementIsShown() throws {
    try withSFT { sft in
      try makePython(sft, "echo noise >&2; echo '\(Self.answer(tokens: "[1,2]"))'")
      let outcome = try export(sft)
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(outcome.errors == "")
      let lines = outcome.output.split(separator: "\n").map(String.init)
      #expect(lines.count == 15)
      #expect(
        lines.first?.hasPrefix("prompt          tokens  largest logit  difference  relative  same token") ?? false)
      #expect(lines[1].hasPrefix("fact") && lines[1].hasSuffix("1 times"))
      #expect(lines[2].hasPrefix("story") && lines[2].hasSuffix("0.0e0      always"))
      #expect(lines[11].hasPrefix("The logits of a tool 1.2 are sft's to within "))
      #expect(lines[11].hasSuffix(" of the largest; 0.001 is allowed for weights in float32."))
      #expect(
        lines[12]
          == "Not always the same token is the likeliest: of \"fact\" not after token 2, where sft's leads by 0.25.")
      #expect(lines[13] == "It cuts 1 of 1 texts into other tokens than sft does: \"fact\".")
      #expect(lines[14] == "written to out")
      let report = try export(sft, "--overwrite", "--json").json()["verification"]
      #expect(report?["tool"]?.string == "a tool 1.2" && report?["is_within_bound"]?.bool == true)
      #expect(report?["bound"]?.double == 0.001 && report?["type"]?.string == "float32")
      let first = report?["checks"]?.array?.first?["prompts"]?.array?.first
      #expect(first?["difference"]?.double == 0.0001 && first?["same_token"]?.int == 1)
      #expect(first?["first_disagreement"]?["position"]?.int == 1)
      let largest = try #require(first?["largest_logit"]?.double)
      #expect(largest > 0.1)
      #expect(abs((report?["relative_difference"]?.double ?? .nan) * largest - 0.0001) < 1e-9)
      #expect(report?["other_tokenizations"]?.array?.first?["other_ids"]?.array?.compactMap(\.int) == [1, 2])
    }
  }

  @Test(arguments: ["peft", "merged", "model", "gguf", "gguf-lora", "onnx"])
  func whatIsAskedFor(_ format: String) throws {
    try withSFT { sft in
      // The model must be there while it is asked for, and the logits of all prompts' tokens on descriptor 3.
      try makePython(
        sft,
        """
        printf '%s' "$request" > request.json
        printf '%s' "$2" > script.py
        wc -c < /dev/fd/3 > size
        model=$(printf '%s' "$request" | sed 's/.*"model":"\\([^"]*\\)".*/\\1/')
        [ -e "$model" ] || exit 9
        echo '\(Self.answer(difference: "0"))'
        """)
      let adapter = format == "model" ? [] : ["--adapter", Self.adapter]
      let outcome = try sft.run(
        ["export", "--model", SFTBinary.model, "--format", format, "--to", "out", "--quiet", "--verify", "./python"]
          + adapter)
      #expect(outcome.code == 0, "\(outcome.errors)")
      let request = try parseJSONFile(sft.path("request.json"))
      let (model, given) = (try #require(request["model"]?.string), request["adapter"])
      switch format {
      case "peft": #expect(model == SFTBinary.model && given?.string == "out")
      case "gguf": #expect(model.hasPrefix("out/") && model.hasSuffix(".gguf") && given?.isNull == true)
      case "gguf-lora":
        #expect(model.hasSuffix("/base/base.gguf") && given?.string?.hasPrefix("out/") == true)
        #expect(try !fileExists(model))
      default: #expect(model == "out" && given?.isNull == true)
      }
      let prompts = try #require(request["prompts"]?.array)
      #expect(prompts.count == 10)
      let tokens = prompts.reduce(0) { $0 + ($1["ids"]?.array?.count ?? 0) }
      let columns = try #require(request["columns"]?.int)
      #expect(try sft.read("size").trimmingCharacters(in: .whitespacesAndNewlines) == "\(4 * tokens * columns)")
      #expect(try sft.read("script.py").hasSuffix("verify(load)\n"))
      #expect(try sft.leftovers() == [])
    }
  }

  @Test func differencesBeyondTheBoundAreAnErrorAfterWriting() throws {
    try withSFT { sft in
      try makePython(sft, "echo '\(Self.answer(difference: "1"))'")
      let outcome = try export(sft, "--json")
      #expect(outcome.code == 65)
      let message = lastError(outcome)
      #expect(message.hasPrefix("error: out: written, but the logits that a tool 1.2 computes from it differ by "))
      #expect(message.hasSuffix(" of the largest, where 0.001 is allowed for weights in float32."))
      #expect(try outcome.json()["verification"]?["is_within_bound"]?.bool == false)
      #expect(try fileExists(sft.path("out/adapter_config.json")))
      // What 4 bits allow: the same difference.
      let quantized = try export(sft, "--overwrite", "--format", "gguf", "--dtype", "q4_0")
      #expect(quantized.code == 0, "\(quantized.errors)")
      try makePython(sft, "echo '\(Self.answer(difference: "null"))'")
      let none = try export(sft, "--overwrite")
      #expect(
        lastError(none) == "error: out: written, but the logits that a tool 1.2 computes from it are not all numbers.")
      #expect(none.output.contains("not a number"))
    }
  }

  @Test func whatIsMissingIsSaidBeforeAnythingIsWritten() throws {
    try withSFT { sft in
      try makePython(sft, "exit 1", missing: #"["torch","peft"]"#)
      let outcome = try export(sft)
      #expect(outcome.code == 66)
      #expect(
        lastError(outcome)
          == "error: ./python lacks what peft is loaded with: torch, peft. Install it with `./python -m pip install torch peft`, "
          + "or leave --verify out.")
      #expect(try !fileExists(sft.path("out")))
      let nothing = try export(sft, "--verify", "no-such-python")
      #expect(nothing.code == 66)
      #expect(lastError(nothing).hasPrefix("error: there is no program 'no-such-python' in $PATH."))
      let folder = try export(sft, "--verify", "./")
      #expect(folder.code == 66 && lastError(folder) == "error: ./: is not a program that can be run.")
      try sft.write("not a program\n", to: "text")
      #expect(chmod(sft.path("text"), 0o755) == 0)
      let text = try export(sft, "--verify", "./text")
      #expect(text.code == 66 && lastError(text).hasPrefix("error: ./text: cannot be started: "), "\(text.errors)")
      #expect(try !fileExists(sft.path("out")))
    }
  }

  /// The scripts themselves, in a Python that has only its own library.
  @Test(.enabled(if: (try? fileExists("/usr/bin/python3")) ?? false))
  func aBarePythonLacksPackages() throws {
    try withSFT { sft in
      try sft.write("#!/bin/sh\nexec /usr/bin/python3 -I -S \"$@\"\n", to: "python")
      #expect(chmod(sft.path("python"), 0o755) == 0)
      for (format, packages) in [
        ("peft", "numpy torch transformers peft"), ("gguf", "numpy llama-cpp-python"), ("onnx", "numpy onnxruntime"),
      ] {
        let outcome = try export(sft, "--format", format)
        #expect(outcome.code == 66 && lastError(outcome).contains("pip install \(packages)`"), "\(outcome.errors)")
      }
    }
  }

  @Test(arguments: [
    ("echo hello", "./python answers with what is not JSON: "),
    ("", "./python answers with what is not JSON: "),
    ("echo '{\"missing\":[]}'", "the answer of Python lacks the tool's name, or has it otherwise than expected."),
    ("echo out; echo one >&2; printf 'tw\\033o\\n' >&2; exit 3", "./python ended with exit code 3: one; tw\\u{1b}o."),
    ("exit 4", "./python ended with exit code 4, saying nothing."),
    ("kill -9 $$", "./python ended with exit code 137, saying nothing."),
    ("yes", "./python answers with more than "),
  ])
  func failuresAreToldAfterWriting(_ body: String, _ message: String) throws {
    try withSFT { sft in
      try makePython(sft, body)
      let outcome = try export(sft)
      #expect(lastError(outcome).hasPrefix("error: out: written, but not verified: \(message)"), "\(outcome.errors)")
      #expect([65, 74].contains(outcome.code))
      #expect(outcome.output == "")
      #expect(try fileExists(sft.path("out/adapter_config.json")))
    }
  }

  @Test(arguments: [
    (answer(prompt: "{}"), "the number of tokens compared"),
    (answer(prompt: #"{"difference":0,"compared":1000000,"agreeing":2}"#), "the number of tokens compared"),
    (answer(prompt: #"{"difference":0,"compared":2,"agreeing":3}"#), "the number of tokens that agree"),
    (answer(prompt: #"{"difference":-1,"compared":2,"agreeing":2}"#), "a difference"),
    (answer(prompt: #"{"compared":2,"agreeing":2}"#), "a difference"),
    (answer(prompt: #"{"difference":0,"compared":2,"agreeing":0}"#), "where the largest logits are not the same"),
    (answer(tokens: "7"), "a list of tokens"), (answer(tokens: "[\"a\"]"), "a list of tokens"),
    (#"{"tool":"a","checks":[],"tokens":[]}"#, "a list of checks"),
    (#"{"tool":"a","checks":[{"name":"","prompts":[]}],"tokens":[]}"#, "a result for each of 10 prompts"),
  ])
  func answersAreChecked(_ answer: String, _ what: String) throws {
    try withSFT { sft in
      try makePython(sft, "echo '\(answer)'")
      let outcome = try export(sft)
      #expect(outcome.code == 65)
      #expect(
        lastError(outcome)
          == "error: out: written, but not verified: the answer of Python lacks \(what), or has it otherwise than expected."
      )
    }
  }

  @Test func timeIsLimitedAndNothingIsLeftRunning() throws {
    try withTemporaryFolder { folder in
      // What it starts holds the pipes open.
      let process = PythonProcess(
        path: "/bin/sh", arguments: ["-c", "sleep 60 & echo $! > '\(folder)/child'; echo begun; sleep 60"], input: "",
        timeLimit: 0.5)
      let start = ContinuousClock.now
      let ending = try process.run()
      #expect(ending.code == nil && ending.output == Array("begun\n".utf8))
      #expect(ContinuousClock.now - start < .seconds(20))
      expectGone(try processIdentifier(folder + "/child"))
      // One that ends itself is not waited for any longer, whatever it has left behind.
      let quick = PythonProcess(
        path: "/bin/sh", arguments: ["-c", "sleep 60 & echo $! > '\(folder)/child'; exit 5"], input: "", timeLimit: 60)
      #expect(try quick.run().code == 5)
      #expect(ContinuousClock.now - start < .seconds(40))
      expectGone(try processIdentifier(folder + "/child"))
    }
  }

  @Test(arguments: [SIGINT, SIGTERM]) func itEndsWithSft(_ signal: Int32) throws {
    try withSFT { sft in
      try makePython(sft, "echo $$ > own.new; mv own.new own; sleep 60")
      let running = try start(sft)
      kill(running.process.processIdentifier, signal)
      #expect(try running.finish().code == 128 + signal)
      expectGone(try processIdentifier(sft.path("own")))
    }
  }

  @Test func itsInputEndsWhereSftIsKilledOutright() throws {
    try withSFT { sft in
      try makePython(sft, "echo $$ > own.new; mv own.new own; cat > /dev/null; echo > ended")
      let running = try start(sft)
      kill(running.process.processIdentifier, SIGKILL)
      _ = try running.finish()
      expectGone(try processIdentifier(sft.path("own")))
      #expect(try fileExists(sft.path("ended")))
    }
  }

  /// An export that has come to its verification.
  private func start(_ sft: SFTBinary) throws -> Running {
    let running = try sft.start([
      "export", "--model", SFTBinary.model, "--adapter", Self.adapter, "--to", "out", "--verify", "./python",
    ])
    while running.process.isRunning, try !fileExists(sft.path("own")) { usleep(5000) }
    return running
  }

  private func processIdentifier(_ path: String) throws -> Int32 {
    try #require(Int32(String(decoding: try readFile(path), as: UTF8.self).trimmingCharacters(in: .newlines)))
  }

  /// A killed process may stay as a zombie where nobody waits for it.
  private func expectGone(_ process: Int32, sourceLocation: SourceLocation = #_sourceLocation) {
    for _ in 0..<1000 {
      let state = (try? readFile("/proc/\(process)/stat")).map { String(decoding: $0, as: UTF8.self) }
      if state.map({ $0.contains(") Z ") }) ?? true { return }
      usleep(10000)
    }
    Issue.record("process \(process) still runs", sourceLocation: sourceLocation)
  }
}
