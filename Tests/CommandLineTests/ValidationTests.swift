import Files
import Foundation
import JSON
import TestSupport
import Testing

/// What validations cost, what is said of it, and what comes of losses that are no number or that rise.
@Suite struct ValidationTests {
  private func lines(_ sft: SFTBinary, _ run: String, _ kind: String) throws -> [String] {
    try sft.metrics(run).filter { $0.contains("\"kind\":\"\(kind)\"") }
  }

  private func settings(_ sft: SFTBinary, _ run: String) throws -> JSONValue {
    try #require(try parseJSONFile(sft.path(".sft/runs/\(run)/config.json"))["settings"])
  }

  /// As training records lie, the updates of this run cost little more than its validation records.
  @Test func aShortRunIsValidatedOnSomeRecordsAndSaysSo() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.5")
      let outcome = try sft.succeed("train", "--max-steps", "2", "--batch-size", "2", "--run", "a")
      #expect(
        outcome.errors.contains("\nvalidation  once, at the end, on 1 of 10 records, without a sample: about "),
        "\(outcome.errors)")
      #expect(outcome.errors.contains(" % of the updates' time; --eval-every N is on all of them\n"))
      #expect(try lines(sft, "a", "eval").count == 1 && lines(sft, "a", "sample").isEmpty)
      #expect(try settings(sft, "a")["evalEvery"]?.int == 2)
      #expect(try settings(sft, "a")["validationRecords"]?.int == 1)
      // Whoever says how often gets all of it, and is told what that takes.
      let asked = try sft.succeed("train", "--max-steps", "2", "--batch-size", "2", "--eval-every", "1", "--run", "b")
      #expect(
        asked.errors.contains(
          "\nvalidation  2 times, every 1 update, on 10 records, with a sample of up to 64 tokens: about "))
      #expect(asked.errors.contains(" times the updates' time\n"))
      #expect(try lines(sft, "b", "eval").count == 2 && lines(sft, "b", "sample").count == 2)
      let time = try #require(asked.output.split(separator: "\n").first { $0.hasPrefix("time        ") })
      #expect(time.contains(" of training, ") && time.contains(" of validation, ") && time.hasSuffix(" in all"))
      let report = try sft.succeed(
        "train", "--max-steps", "1", "--batch-size", "2", "--eval-every", "1", "--run", "c", "--json", "--quiet"
      ).json()
      #expect(report["training_seconds"]?.double ?? 0 > 0 && report["validation_seconds"]?.double ?? 0 > 0)
    }
  }

  @Test func theChosenRecordsAreTheSameAfterAResume() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.5")
      let command = ["train", "--max-steps", "6", "--batch-size", "2", "--save-every", "1", "--lr", "1e-2", "--quiet"]
      for run in ["a", "b"] {
        #expect(try sft.run(command + ["--run", run, "--keep-checkpoints", "9"]).code == 0)
      }
      let folder = sft.path(".sft/runs/b")
      let whole = try sft.metrics("a")
      try removeTree(folder + "/finished.json")
      for step in 4...6 { try removeTree("\(folder)/checkpoints/step-\(step)") }
      for weights in ["adapter", "best"] { try removeTree("\(folder)/\(weights)") }
      try sft.succeed("train", "--resume", "--run", "b", "--quiet")
      #expect(try sft.metrics("b") == whole)
      for file in ["finished.json", "best/adapter_model.safetensors", "adapter/adapter_model.safetensors"] {
        #expect(try readFile(folder + "/" + file) == readFile(sft.path(".sft/runs/a/" + file)), "\(file)")
      }
      // Saying the number that was worked out would change what each validation is over.
      try removeTree(folder + "/finished.json")
      try sft.fail(
        64,
        "run b cannot go on with changed settings: --eval-every 6 (each was on 2 validation records only). Leave them "
          + "out, or start a new run.", "train", "--resume", "--run", "b", "--eval-every", "6")
    }
  }

  @Test func divergenceFoundByAValidationNamesRateAndRemedy() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      let command = ["train", "--max-steps", "3", "--batch-size", "2", "--eval-every", "1", "--quiet"]
      let outcome = try sft.run(command + ["--lr", "1e30", "--run", "a"])
      #expect(outcome.code == 70)
      #expect(
        outcome.errors == "error: the validation loss after step 1 is not a finite number at the learning rate 1e30. "
          + "Try a lower --lr, or a warm-up with --warmup-steps, or look at the validation records.\n")
      // A rate of several that does so is a result like others.
      let sweep = try sft.run(command + ["--lr", "1e30,1e-3", "--json"])
      #expect(sweep.code == 0)
      #expect(try sweep.json()["runs"]?.array?.map { $0["diverged_at"]?.int } == [1, nil])
    }
  }

  @Test func aModelWithSuchValuesIsNamedInstead() throws {
    try withSFT { sft in
      try sft.copyModelWithNaN(to: "nan")
      try sft.succeed("prepare", SFTBinary.records, "--model", "nan", "--quiet")
      for arguments in [["train", "--max-steps", "2"], ["lr-find", "--steps", "10"]] {
        let outcome = try sft.run(arguments + ["--quiet"])
        #expect(outcome.code == 65, "\(outcome.errors)")
        #expect(outcome.errors.hasPrefix("error: \(sft.path("nan"))/model.safetensors: tensor '"), "\(outcome.errors)")
        #expect(outcome.errors.hasSuffix("' holds an infinity or NaN. Get the model's files again.\n"))
      }
    }
  }

  @Test func lossesThatRoseAreSaidAtTheEnd() throws {
    try withSFT { sft in
      // A model that has learnt something has something to lose.
      try sft.succeed("prepare", SFTBinary.records, "--model", "embedded", "--val", "0.2", "--quiet")
      let command = ["train", "--max-steps", "4", "--batch-size", "4", "--lr", "100", "--eval-every", "1", "--quiet"]
      let output = try sft.run(command).output
      for (what, place) in [("training", "in the first update"), ("validation", "at step 1")] {
        let remark = output.split(separator: "\n").first { $0.hasPrefix("The \(what) loss rose from ") }
        #expect(remark?.contains(" \(place) to ") == true && remark?.contains("try a lower --lr") == true, "\(output)")
      }
      #expect(try sft.run(command + ["--json"]).json()["remarks"]?.array?.count == 2)
      let calm = try sft.run("train", "--max-steps", "4", "--batch-size", "4", "--json", "--quiet").json()
      #expect(calm["remarks"]?.array?.isEmpty == true)
    }
  }

  @Test func aWarmUpThatNeverEndsIsRemarkedOnAtTheStart() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let outcome = try sft.succeed("train", "--max-steps", "2", "--batch-size", "1", "--warmup-steps", "10")
      #expect(
        outcome.errors.contains(
          "\nThe warm-up of 10 updates is longer than the run of 2 updates: the learning rate reaches 2e-5, not the 2e-4 "
            + "of --lr.\n1/2  loss "), "\(outcome.errors)")
    }
  }

  /// What `sft` writes to a terminal of so many columns.
  private func terminal(_ sft: SFTBinary, columns: UInt16, _ arguments: [String]) throws -> String {
    // TIOCSPTLCK and TIOCGPTN: what unlockpt and ptsname do, which Swift does not see.
    let master = open("/dev/ptmx", O_RDWR | O_NOCTTY)
    defer { close(master) }
    var (lock, number) = (Int32(0), UInt32(0))
    try #require(master >= 0 && ioctl(master, 0x4004_5431, &lock) == 0 && ioctl(master, 0x8004_5430, &number) == 0)
    var size = winsize(ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    let terminal = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
    try #require(terminal >= 0 && ioctl(terminal, UInt(TIOCSWINSZ), &size) == 0)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try SFTBinary.path())
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: sft.folder)
    process.environment = ["PATH": "/usr/bin:/bin", "HOME": sft.folder]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle(fileDescriptor: terminal, closeOnDealloc: false)
    try process.run()
    close(terminal)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    // It ends when the last one who has the terminal has closed it.
    while case let count = read(master, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: bytes, as: UTF8.self).replacing("\r\n", with: "\n")
  }

  @Test func theStartingLinesFitATerminalAndTheBarMovesInValidations() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.5")
      let text = try terminal(
        sft, columns: 64,
        ["train", "--max-steps", "1", "--batch-size", "2", "--eval-every", "1", "--run", "a", "--lora-alpha", "8"])
      let header = text.prefix { $0 != "\r" }.split(separator: "\n")
      #expect(header.count > 8)
      // A path that is longer stays whole.
      for line in header where !line.contains("/") { #expect(line.count <= 64, "\(line)") }
      #expect(text.contains("\nadapter     LoRA r 16, alpha 8, dropout 0, on all-linear\n"), "\(text)")
      #expect(
        text.contains(
          """

          optimiser   AdamW, lr 2e-4 linear to 0, warm-up 0, weight decay
                      0.01, clipping 1, seed 42

          """), "\(text)")
      #expect(text.contains(" validating 10/10  step 1/1  ETA "))
      #expect(text.contains(" answering "))
    }
  }

  @Test func oneIsNotWrittenAsMany() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let outcome = try sft.succeed("train", "--max-steps", "1", "--batch-size", "1", "--threads", "1")
      #expect(outcome.errors.contains("\nupdates     1 of 1 record × 1 = 1\n"))
      #expect(outcome.errors.contains("\ncompute     1 thread, "))
      #expect(outcome.output.hasPrefix("trained     1 update, last loss "))
    }
  }
}
