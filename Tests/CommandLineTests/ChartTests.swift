import Files
import Foundation
import JSON
import Testing
import TestSupport

/// `train --tensorboard` and `runs --csv`: the figures of `metrics.jsonl`, whatever happened to the run.
@Suite struct ChartTests {
  private static let settings = [
    "--max-steps", "60", "--batch-size", "4", "--save-every", "7", "--eval-every", "10", "--lr", "1e-2", "--quiet",
  ]

  /// Every metric once, in order, and as it is in `metrics.jsonl`.
  private func expectSame(
    _ sft: SFTBinary, _ run: String, _ folder: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let events = try EventReader(sft.path(folder))
    var expected: [String: [(step: Int, value: Float)]] = [:]
    var samples: [(step: Int, text: String)] = []
    for line in try lines(of: sft.path(".sft/runs/\(run)/metrics.jsonl")) {
      let metric = try line.withUnsafeBytes { try parseJSON($0, file: "metrics.jsonl") }
      let (kind, step) = (metric["kind"]?.string ?? "?", metric["step"]?.int ?? -1)
      if kind == "sample" { samples.append((step, metric["text"]?.string ?? "?")) }
      for member in metric.object?.members ?? [] where kind != "sample" && member.key != "step" {
        if let value = member.value.double {
          expected["\(kind)/\(member.key)", default: []].append((step, Float(value)))
        }
      }
    }
    #expect(Set(events.scalars.keys) == Set(expected.keys), sourceLocation: sourceLocation)
    for (tag, values) in expected {
      let found = events.scalars[tag] ?? []
      #expect(found.map(\.step) == values.map(\.step), "\(tag)", sourceLocation: sourceLocation)
      #expect(found.map(\.value) == values.map(\.value), "\(tag)", sourceLocation: sourceLocation)
    }
    #expect(events.texts["sample"]?.map(\.step) == samples.map(\.step), sourceLocation: sourceLocation)
    for (event, sample) in zip(events.texts["sample"] ?? [], samples) {
      for row in sample.text.split(whereSeparator: \.isNewline) {
        #expect(event.text.contains("\n    " + row), sourceLocation: sourceLocation)
      }
    }
    #expect(events.texts["configuration"]?.count == 1, sourceLocation: sourceLocation)
    #expect(
      events.plugins == [
        "sample": "text", "configuration": "text", "_hparams_/experiment": "hparams",
        "_hparams_/session_start_info": "hparams", "_hparams_/session_end_info": "hparams",
      ], sourceLocation: sourceLocation)
  }

  private func updates(_ sft: SFTBinary, _ run: String) -> Int {
    ((try? readFile(sft.path(".sft/runs/\(run)/metrics.jsonl"))) ?? []).count { $0 == 10 }
  }

  /// Starts a run and kills it once it has gone on by some updates; false where it came to its end.
  private func killed(_ sft: SFTBinary, _ run: String, after count: Int, _ arguments: [String]) throws -> Bool {
    let before = updates(sft, run)
    let isThere = try fileExists(sft.path(".sft/runs/\(run)"))
    let running = try sft.start(["train", "--run", run, "--quiet"] + (isThere ? ["--resume"] : []) + arguments)
    while running.process.isRunning, updates(sft, run) < before + count { usleep(1000) }
    let isRunning = running.process.isRunning
    if isRunning { kill(running.process.processIdentifier, SIGKILL) }
    _ = try running.finish()
    return isRunning
  }

  @Test func killedRunsAreChartedOnce() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      var kills = 0
      for attempt in 0..<4 {
        // The first command says where; the later ones find it recorded.
        let arguments = attempt == 0 ? Self.settings + ["--tensorboard", "charts"] : []
        kills += try killed(sft, "a", after: 11, arguments) ? 1 : 0
      }
      #expect(kills >= 2)
      try sft.succeed("train", "--run", "a", "--resume", "--quiet")
      try expectSame(sft, "a", "charts/a")
      #expect(try directoryEntries(sft.path("charts/a")).count == kills + 1)
    }
  }

  @Test func whatWasTrainedWithoutIsFilledIn() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      let isKilled = try killed(sft, "b", after: 20, Self.settings)
      #expect(isKilled)
      try sft.succeed("train", "--resume", "--quiet", "--tensorboard", "charts")
      try expectSame(sft, "b", "charts/b")
    }
  }

  @Test func aModelFromScratchIsChartedToo() throws {
    try withSFT { sft in
      try sft.write(#"{"model_type":"gpt2","n_positions":32,"n_embd":16,"n_layer":2,"n_head":2}"#, to: "c.json")
      try sft.write((0..<400).map { "The number \($0) follows \($0 - 1)." }.joined(separator: "\n"), to: "text.txt")
      try sft.succeed(
        "pretrain", "text.txt", "--config", "c.json", "--vocab-size", "300", "--val", "0.1", "--max-steps", "6",
        "--eval-every", "2", "--quiet", "--run", "p", "--tensorboard", "charts")
      try expectSame(sft, "p", "charts/p")
    }
  }

  @Test func foldersThatCannotBeUsedAreRefusedBeforeTheRun() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.write("", to: "plain")
      let short = ["train", "--max-steps", "2", "--quiet"]
      try sft.fail(
        73, "plain: is in the way of a folder.", "train", "--max-steps", "2", "--quiet", "--tensorboard", "plain")
      #expect(try sft.run(short + ["--tensorboard", ""]).code == 64)
      #expect(try !directoryExists(sft.path(".sft/runs")))
      #expect(try sft.run(short + ["--run", "a", "--tensorboard", "charts"]).code == 0)
      try removeTree(sft.path(".sft/runs/a"))
      try sft.fail(
        64,
        "HERE/charts/a: holds event files of another run already. Remove them, or give another --run or --tensorboard.",
        "train", "--run", "a", "--tensorboard", "charts", "--quiet")
      #expect(try !directoryExists(sft.path(".sft/runs/a")))
      // A name that nobody gave is one that is free.
      try createDirectory(sft.path("charts/run-1"))
      try sft.write("", to: "charts/run-1/events.out.tfevents.1.x")
      #expect(try sft.run(short + ["--tensorboard", "charts"]).code == 0)
      #expect(try directoryEntries(sft.path(".sft/runs")) == ["run-2"])
    }
  }

  @Test func metricsAreATable() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      try sft.run(["train", "--run", "a"] + Self.settings)
      let text = try sft.succeed("runs", "--csv", "a").output
      let rows = text.components(separatedBy: "\r\n")
      #expect(rows.count == 62 && rows.last == "")
      #expect(
        rows[0] == "step,loss,accuracy,lr,grad_norm,tokens,supervised_tokens,seconds,elapsed,tokens_per_second,"
          + "eval_loss,eval_perplexity,eval_accuracy")
      let keys = rows[0].split(separator: ",").map(String.init)
      let metrics = try lines(of: sft.path(".sft/runs/a/metrics.jsonl")).map { line in
        try line.withUnsafeBytes { try parseJSON($0, file: "metrics.jsonl") }
      }
      for (index, row) in rows.dropFirst().dropLast().enumerated() {
        let fields = row.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
        #expect(fields.count == 13)
        func line(_ kind: String) -> JSONValue? {
          metrics.first { $0["kind"]?.string == kind && $0["step"]?.int == index + 1 }
        }
        for (key, field) in zip(keys, fields) {
          let isEval = key.hasPrefix("eval_")
          #expect(field == (isEval ? line("eval")?[String(key.dropFirst(5))] : line("train")?[key])?.double, "\(key)")
        }
      }
      try sft.fail(
        66, "there is no run 'b' in .sft/runs. Those that are there: a.", "runs", "--csv", "b")
      #expect(try sft.run("runs", "--csv", "a", "--json").code == 64)
      try sft.write("{\"kind\":\"train\",\"step\":1}\n", to: ".sft/runs/a/metrics.jsonl")
      try sft.fail(65, ".sft/runs/a/metrics.jsonl:1: is not a line of a run's metrics.", "runs", "--csv", "a")
    }
  }
}
