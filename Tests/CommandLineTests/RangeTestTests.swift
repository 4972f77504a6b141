import Files
import Foundation
import JSON
import TestSupport
import Testing

/// `lr-find`: a curve, a suggestion, and nothing else left behind.
@Suite struct RangeTestTests {
  private func points(_ value: JSONValue) -> [(lr: Double, loss: Double)] {
    (value["points"]?.array ?? []).map { ($0["lr"]?.double ?? .nan, $0["loss"]?.double ?? .nan) }
  }

  @Test func aCurveAndASuggestion() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      let outcome = try sft.succeed("lr-find", "--json", "--quiet")
      #expect(outcome.errors == "")
      let report = try outcome.json()
      let points = points(report)
      #expect(points.count == 100 && points[0].lr == 1e-6 && points[99].lr == 1)
      #expect(report["end"]?.string == "finished" && report["reason"] == nil)
      let rate = try #require(report["suggestion"]?.double)
      let (steepest, lowest) = (try #require(report["steepest"]?.double), try #require(report["lowest"]?.double))
      #expect(rate > 1e-4 && rate < lowest && steepest < lowest)
      #expect(report["settings"]?["lr_to"]?.double == 1 && report["settings"]?["lora_r"]?.int == 16)
      // Under a name that its content gives.
      let folders = try directoryEntries(sft.path(".sft/lr-find"))
      try #require(folders.count == 1)
      let folder = ".sft/lr-find/" + folders[0]
      let json = try readFile(sft.path(folder + "/lr-find.json"))
      #expect(folders[0] == json.withUnsafeBytes { Digest(of: $0) }.short)
      #expect(try parseJSONFile(sft.path(folder + "/lr-find.json")) == report)
      let rows = try sft.read(folder + "/lr-find.csv").components(separatedBy: "\r\n")
      #expect(rows.count == 102 && rows[0] == "step,lr,loss,smoothed,running_loss")
      #expect(rows[1].hasPrefix("1,1e-06,\(points[0].loss),"))
      let svg = try sft.read(folder + "/lr-find.svg")
      #expect(svg.hasPrefix("<svg xmlns=") && svg.hasSuffix("</svg>\n"))
      #expect(svg.components(separatedBy: "<circle ").count == 101)
      #expect(svg.components(separatedBy: "<polyline ").count == 2 && !svg.contains("nan"))
      // The same bits again, at the same place; and it is no run.
      let again = try sft.succeed("lr-find", "--quiet")
      #expect(again.output.contains("written to \(folder)/lr-find.json\nwritten to \(folder)/lr-find.csv\n"))
      #expect(again.output.contains("\nsuggested   ") && again.output.contains("\ntry         sft train --lr "))
      #expect(!again.output.contains("\u{1b}"))
      #expect(again.output.split(separator: "\n").allSatisfy { $0.count <= 80 })
      #expect(try directoryEntries(sft.path(".sft/lr-find")) == folders)
      #expect(try readFile(sft.path(folder + "/lr-find.json")) == json)
      #expect(try !fileExists(sft.path(".sft/runs")))
      #expect(try sft.leftovers() == [])
    }
  }

  /// The first update is that of `train` with the same options, whatever is trained.
  @Test(arguments: [
    [], ["--qlora", "--quant", "fp4"], ["--full"], ["--lora-layers", "2", "--lora-r", "3"],
    ["--batch-tokens", "150", "--grad-accum", "2", "--optimizer", "adamw8bit", "--seed", "7", "--dropout", "0.1"],
    ["--init-adapter", SFTBinary.tiny + "/adapter", "--no-shuffle", "--engine", "plain"],
  ])
  func itBeginsAsTrainDoes(_ options: [String]) throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      let report = try sft.run(["lr-find", "--json", "--quiet", "--steps", "12", "--lr-from", "1e-3"] + options)
      #expect(report.code == 0, "\(report.errors)")
      let trained = try sft.run(["train", "--max-steps", "2", "--lr", "1e-3", "--scheduler", "constant"] + options)
      #expect(trained.code == 0, "\(trained.errors)")
      let metrics = try lines(of: sft.path(".sft/runs/run-1/metrics.jsonl")).map { line in
        try line.withUnsafeBytes { try parseJSON($0, file: "metrics.jsonl") }
      }
      let losses = metrics.filter { $0["kind"]?.string == "train" }.compactMap { $0["loss"]?.double }
      let points = points(try report.json())
      #expect(points.count == 12 && losses.count == 2)
      // The second's loss comes after an update at the first rate, which is the same.
      #expect(points.prefix(2).map(\.loss) == losses)
    }
  }

  @Test func aLossThatIsNoNumberIsAResult() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let outcome = try sft.succeed("lr-find", "--lr-to", "1e30", "--quiet")
      #expect(outcome.output.contains("\nended       update "), "\(outcome.output)")
      let report = try sft.succeed("lr-find", "--lr-from", "1e29", "--lr-to", "1e30", "--json").json()
      #expect(report["end"]?.string == "not_finite" && report["suggestion"] == nil)
      #expect(report["failure"]?["step"]?.int == (report["points"]?.array?.count ?? 0) + 1)
      #expect(report["reason"]?.string?.contains("and a curve needs 10. ") == true)
      let text = try sft.succeed("lr-find", "--lr-from", "1e29", "--lr-to", "1e30", "--quiet").output
      #expect(text.contains("loss or gradient is not a finite number\nno suggestion: There "), "\(text)")
    }
  }

  @Test func aRangeThatIsTooLowSaysSo() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let low = try sft.succeed("lr-find", "--lr-to", "2e-6", "--quiet").output
      #expect(low.contains("no suggestion: The loss never fell by more than it varies"), "\(low)")
      let short = try sft.succeed("lr-find", "--lr-from", "1e-4", "--lr-to", "5e-3", "--quiet").output
      #expect(short.contains("Test higher\nrates") || short.contains("Test higher rates"), "\(short)")
    }
  }

  @Test func wrongInputIsRefused() throws {
    try withSFT { sft in
      try sft.fail(
        66, "there is no prepared data in .sft. Run `sft prepare FILE` first.", "lr-find")
      try sft.prepare("--val", "0")
      func refuse(_ message: String, _ options: String...) throws {
        let outcome = try sft.run(["lr-find"] + options)
        #expect(outcome.errors.hasPrefix("error: \(message)\n"), "\(outcome.errors)")
        #expect(outcome.code == 64 && outcome.output == "")
      }
      try refuse("--lr-from must be below --lr-to.", "--lr-from", "1e-2", "--lr-to", "1e-2")
      try refuse("--lr-from must be above 0.", "--lr-from", "0")
      try refuse("--lr-to must be above 0.", "--lr-to", "nan")
      try refuse("--lr-to must be above 0.", "--lr-to", "inf")
      try refuse("--steps must be at least 10.", "--steps", "9")
      try refuse("--steps must be at most 10,000.", "--steps", "10001")
      try refuse("--batch-size must be at least 1.", "--batch-size", "0")
      try refuse(
        "--lora-r does not go with --full, which trains all weights instead of an adapter.", "--full", "--lora-r", "4")
      for option in ["--resume", "--tensorboard", "--epochs", "--lr", "--save-every"] {
        #expect(try sft.run("lr-find", option, "1").code == 64)
      }
      try sft.fail(
        64, "there is no layer 8 to adapt: the model has layers 0 to 2.", "lr-find", "--lora-layers", "8-11")
      #expect(try !fileExists(sft.path(".sft/lr-find")) && !fileExists(sft.path(".sft/runs")))
    }
  }

  @Test func stoppingItLeavesNothing() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let running = try sft.start(["lr-find", "--steps", "10000"])
      while running.process.isRunning, try readFile(running.errorPath).count(where: { $0 == 10 }) < 2 { usleep(1000) }
      kill(running.process.processIdentifier, SIGINT)
      #expect(try running.finish().code == 130)
      #expect(try !fileExists(sft.path(".sft/lr-find")) && !fileExists(sft.path(".sft/runs")))
    }
  }

  /// `--lr auto` is the test and the run with what it suggests, in one command.
  @Test func theRateIsFoundAndTrainedWith() throws {
    try withSFT { sft in
      try sft.prepare()
      let options = ["--lora-r", "4", "--batch-size", "2", "--threads", "1"]
      let found = try sft.run(["lr-find", "--json"] + options).json()
      let rate = try #require(found["suggestion"]?.double)
      let outcome = try sft.run(["train", "--run", "a", "--lr", "auto", "--max-steps", "2"] + options)
      #expect(outcome.code == 0 && outcome.errors.contains("suggested   lr "), "\(outcome.errors)")
      let settings = try parseJSONFile(sft.path(".sft/runs/a/config.json"))["settings"]
      #expect(settings?["schedule"]?["learningRate"]?.double == rate)
      #expect(try sft.read(".sft/runs/a/settings.yaml").contains("\nlr: \(rate)\n"))
      // A run that is gone on with has its rate, and nothing is looked for.
      let again = try sft.run(["train", "--run", "a", "--lr", "auto", "--resume"])
      #expect(again.code == 0 && !again.errors.contains("range test"), "\(again.errors)")
      // The name is found to be taken before anything long is done.
      let taken = try sft.run(["train", "--run", "a", "--lr", "auto"] + options)
      #expect(taken.code == 64 && !taken.errors.contains("range test"))
      #expect(try sft.run(["plan", "--lr", "auto", "--min-lr", "3e-4"]).code == 0)
      for list in ["auto,1e-4", "1e-4,auto"] { #expect(try sft.run(["train", "--lr", list]).code == 64) }
      let pretraining = try sft.run(["pretrain", "x.txt", "--config", "c", "--vocab-size", "300", "--lr", "auto"])
      #expect(pretraining.code == 64 && pretraining.errors.contains("--lr auto goes with `sft train`."))
    }
  }
}
