import Files
import Foundation
import JSON
import Testing
import TestSupport

/// What scripts rely on: exit codes, one JSON value, where things are written, and what happens when they cannot be.
@Suite struct StreamTests {
  @Test func wrongOptionsExitWith64() throws {
    try withSFT { sft in
      for arguments in [
        ["bogus"], ["prepare"], ["train", "--bogus"], ["train", "--lr", "abc"], ["train", "--scheduler", "foo"],
        ["train", "--threads", "0"], ["inspect", "data", "--limit=-1"], ["cache", "gc", "--older-than=-1"],
        ["generate"], ["generate", "--instruction", "a", "--prompt", "b"], ["export"], ["compare"], ["eval"],
        ["prepare", "a", "--overlong", "cut"],
      ] {
        let outcome = try sft.run(arguments)
        #expect(outcome.code == 64, "\(arguments)")
        #expect(outcome.errors.hasPrefix("error: "), "\(arguments)")
        #expect(outcome.output == "", "\(arguments)")
      }
      #expect(try sft.run("train", "--bogus").errors.hasPrefix("error: Unknown option '--bogus'"))
      #expect(try sft.succeed("--version").output == "sft 0.1.0\n")
      #expect(try directoryEntries(sft.folder) == [])
    }
  }

  @Test func anEmptyWorkspaceIsSaidSoAndLeftEmpty() throws {
    try withSFT { sft in
      try sft.fail(
        66, "there is nothing to compare the base with. Train a run first, or give --adapter DIR.", "compare",
        "--questions", SFTBinary.records)
      try sft.fail(66, "there is no prepared data in .sft. Run `sft prepare FILE` first.", "train")
      try sft.fail(66, "there is no prepared data in .sft. Run `sft prepare` first.", "inspect", "data")
      #expect(try sft.succeed("runs").output == "no runs in .sft/runs\n")
      #expect(try sft.succeed("cache").output == "no artifacts in .sft\n")
      for verb in [["runs"], ["cache", "ls"], ["cache", "verify"], ["cache", "gc"]] {
        #expect(try sft.run(verb + ["--json"]).output == "[]\n")
      }
      #expect(try directoryEntries(sft.folder) == [])
    }
  }

  @Test func everyReportIsOneJSONValueAndQuietSaysNothing() throws {
    try withSFT { sft in
      let records = SFTBinary.records
      try sft.write("a question\n", to: "q.txt")
      for arguments in [
        ["prepare", records, "--model", SFTBinary.model], ["train", "--max-steps", "2"],
        ["train", "--resume", "--run", "run-1"], ["inspect", "data"], ["inspect", "model", SFTBinary.model],
        ["inspect", "adapter", ".sft/runs/run-1/adapter"], ["eval", "--data", records],
        ["generate", "--instruction", "a", "--max-new-tokens", "2"],
        ["compare", "--questions", "q.txt", "--max-new-tokens", "2"], ["export", "--to", "out"], ["runs"],
        ["cache", "ls"], ["cache", "verify"], ["cache", "gc"], ["doctor"],
      ] {
        let outcome = try sft.run(arguments + ["--json", "--quiet"])
        #expect(outcome.code == 0, "\(arguments)")
        #expect(outcome.errors == "", "\(arguments)")
        #expect(throws: Never.self, "\(arguments)") { try outcome.json() }
      }
    }
  }

  @Test func progressGoesToStandardErrorInPlainLines() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let outcome = try sft.succeed("train", "--max-steps", "3", "--lora-r", "4", "--run", "a")
      let output = outcome.output.split(separator: "\n")
      #expect(output.count == 3)
      #expect(output.first?.hasPrefix("trained     3 updates, last loss ") == true)
      #expect(output[1].hasPrefix("time        ") && output[1].hasSuffix(" in all"))
      #expect(output.last == "adapter     .sft/runs/a/adapter")
      #expect(outcome.errors.contains("\nadapter     LoRA r 4, alpha 16, dropout 0, on all-linear\n"))
      #expect(outcome.errors.contains("\nupdates     3 of 8 records × 1 = 8\n"))
      #expect(outcome.errors.contains("\n1/3  loss "))
      #expect(outcome.errors.contains("\n3/3  loss "))
      #expect(!(outcome.output + outcome.errors).contains("\u{1b}"))
      #expect(!(outcome.output + outcome.errors).contains("\r"))
    }
  }

  @Test func lostResultsAreAnError() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      let full = try FileHandle(forWritingTo: URL(fileURLWithPath: "/dev/full"))
      for arguments in [["runs"], ["inspect", "data", "--jsonl"], ["cache", "ls", "--json"]] {
        let outcome = try sft.start(arguments, output: full).finish()
        #expect(
          outcome.errors
            == "error: the results could not be written to standard output: No space left on device.\n")
        #expect(outcome.code == 74)
      }
    }
  }

  /// Runs a line of shell with `sft` as `$SFT`; returns what its last `echo` said.
  private func shell(_ sft: SFTBinary, _ line: String) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", line]
    process.currentDirectoryURL = URL(fileURLWithPath: sft.folder)
    process.environment = ["PATH": "/usr/bin:/bin", "HOME": sft.folder, "SFT": try SFTBinary.path()]
    process.standardInput = FileHandle.nullDevice
    try writeAtomically("", to: sft.path("shell.out"))
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: sft.path("shell.out")))
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return try sft.read("shell.out")
  }

  @Test func closedStreamsDoNoHarm() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      // Closed from the start: no file that is opened gets what is printed.
      #expect(try shell(sft, #""$SFT" train --max-steps 1 --run a >&- 2>&- <&-; echo $?"#) == "74\n")
      #expect(try sft.succeed("train", "--run", "a", "--resume", "--json", "--quiet").json()["run"]?.string == "a")
      #expect(try sft.metrics("a").count == 1)
      try sft.succeed("cache", "verify")
      // A reader that has gone ends what only prints, without noise.
      #expect(
        try shell(sft, #"{ sleep 0.2; "$SFT" inspect data --jsonl 2>noise; echo $? >code; } | true; cat code noise"#)
          == "141\n")
      // But not a run.
      #expect(
        try shell(sft, #"{ sleep 0.2; "$SFT" train --max-steps 3 --run b 2>&1; } | true; "$SFT" runs"#)
          .contains(#/\nb .* finished .* 3/3 /#))
    }
  }

  @Test func aWorkspaceThatCannotBeWrittenExitsWith73() throws {
    try withSFT { sft in
      try sft.write("", to: "file")
      for workspace in ["file", "file/x", "/proc/x"] {
        let outcome = try sft.run(
          "prepare", SFTBinary.records, "--model", SFTBinary.model, "--workspace", workspace)
        #expect(outcome.code == 73, "\(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").last?.hasPrefix("error: ") == true)
        // What only reads goes on.
        try sft.succeed("inspect", "model", SFTBinary.model, "--workspace", workspace)
      }
    }
  }

  @Test func aFullDiskLosesNothing() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0.2")
      // The largest file a process may write stands for the disk: in blocks of 512 bytes.
      let code = try shell(
        sft, #"trap '' XFSZ; ulimit -f 100; "$SFT" train --max-steps 2 --run a 2>errors; echo $?"#)
      #expect(code == "74\n")
      let message = try sft.read("errors").split(separator: "\n").last ?? ""
      #expect(
        message.contains(": cannot write: File too large. Mend that, then go on with `sft train --run a --resume`."))
      #expect(try sft.leftovers() == [])
      let resumed = try sft.succeed("train", "--run", "a", "--resume")
      #expect(resumed.errors.contains("Run a has no sound checkpoint: it starts at step 0.\n"))
      try sft.succeed("train", "--max-steps", "2", "--run", "b", "--quiet")
      #expect(try sft.metrics("a") == sft.metrics("b"))
    }
  }

  @Test(arguments: [SIGINT, SIGTERM]) func interruptedVerbsExitAsTheSignalSays(_ signal: Int32) throws {
    try withSFT { sft in
      // Waits for the lock of another process, for as long as it takes.
      try sft.prepare("--val", "0")
      let artifact = try sft.succeed("cache", "ls", "--json").json().array?.first { $0["stage"]?.string == "records" }
      let folder = lastPathComponent(try #require(artifact?["path"]?.string))
      try removeTree(sft.path(".sft/artifacts/records"))
      let lock = try FileLock(sft.path(".sft/locks/records-\(folder).lock"), .exclusive)
      let running = try sft.start(["prepare", SFTBinary.records, "--model", SFTBinary.model, "--val", "0"])
      while running.process.isRunning, try readFile(running.errorPath).isEmpty { usleep(5000) }
      kill(running.process.processIdentifier, signal)
      let outcome = try running.finish()
      #expect(outcome.errors.hasPrefix("Waiting for another sft process"))
      #expect(outcome.code == 128 + signal)
      #expect(running.process.terminationReason == .exit)
      withExtendedLifetime(lock) {}
    }
  }

  @Test func pathsMayHaveSpacesAndAnyLetters() throws {
    try withSFT { sft in
      try createDirectory(sft.path("dä ta/日本"))
      try writeAtomically(try readFile(SFTBinary.records), to: sft.path("dä ta/日本/réc \"1\".jsonl"))
      try createDirectory(sft.path("mödel x"))
      for name in try directoryEntries(SFTBinary.model) {
        try writeAtomically(try readFile(SFTBinary.model + "/" + name), to: sft.path("mödel x/\(name)"))
      }
      try sft.succeed(
        "prepare", "dä ta/日本/réc \"1\".jsonl", "--model", "mödel x", "--workspace", "wörk space")
      // From another directory, with the workspace from the environment; the model is found again.
      sft.environment["SFT_WORKSPACE"] = sft.path("wörk space")
      try sft.succeed("train", "--max-steps", "1", "--run", "läuf-1", in: "/")
      let runs = try sft.succeed("runs", "--json", in: "/").json().array
      #expect(runs?.map { $0["name"]?.string } == ["läuf-1"])
      #expect(runs?.first?["model"]?.string == sft.path("mödel x"))
      try sft.succeed("generate", "--instruction", "grüße 日本 🎉", "--max-new-tokens", "2", in: "/")
      try sft.succeed("export", "--to", sft.path("ex port"), in: "/")
      try sft.succeed("inspect", "adapter", "ex port")
    }
  }

  @Test func runsAndCacheListWhatIsThere() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      try sft.prepare("--val", "0", "--template", "short")
      try sft.succeed("train", "--run", "a", "--max-steps", "2", "--lora-r", "2", "--lr", "0.01", "--quiet")
      #expect(try sft.succeed("runs", "--json").json().array?.map { $0["name"]?.string } == ["a"])
      let entries = try sft.succeed("cache", "ls").output.split(separator: "\n")
      #expect(entries.count == 5)
      #expect(entries.count { $0.hasSuffix("unused") } == 2)
      #expect(entries.count { $0.hasSuffix("used by latest prepared, run a") } == 3)
      #expect(try sft.succeed("cache", "gc").output == "0 removed, 0 bytes\n")
      let planned = try sft.succeed("cache", "gc", "--older-than", "0", "--dry-run", "--json").json().array
      #expect(planned?.count == 2)
      #expect(try sft.succeed("cache", "ls", "--json").json().array?.count == 5)
      #expect(try sft.succeed("cache", "gc", "--older-than", "0").output.contains("\n2 removed, "))
      #expect(try sft.succeed("cache", "verify").output.split(separator: "\n").count { $0.hasPrefix("sound") } == 6)
      try sft.write("{", to: ".sft/runs/a/config.json")
      let unreadable = try sft.succeed("runs")
      #expect(unreadable.output == "no runs in .sft/runs\n")
      #expect(
        unreadable.errors
          == "The run a is passed over: .sft/runs/a/config.json: is not a run's configuration. Start it again under another "
          + "name; `sft runs rm a` removes this one.\n")
      try sft.fail(
        65,
        ".sft/runs/a/config.json: is not a run's configuration. Start it again under another name; `sft runs rm a` "
          + "removes this one.", "train", "--run", "a", "--resume")
    }
  }

  @Test func theDoctorKnowsTheMachine() throws {
    try withSFT { sft in
      let report = try sft.succeed("doctor", "--json", "--threads", "1").json()
      #expect(report["threads"]?.int == 1)
      #expect((report["sgemm_gflops"]?.double ?? 0) > 0)
      #expect((report["memory_total_bytes"]?.int ?? 0) >= (report["memory_available_bytes"]?.int ?? .max))
      #expect(["AVX-512", "AVX2", "portable"].contains(report["linear_algebra"]?["kernels"]?.string ?? ""))
      #expect((report["memory_gigabytes_per_second_all_threads"]?.double ?? 0) > 0)
      #expect((report["memory_read_bytes"]?.int ?? 0) > 0)
      let cores = try #require(report["cores"]?.int)
      let affinity = try #require(report["affinity"]?.int)
      #expect((1...cores).contains(affinity))
      let physical = try #require(report["affinity_physical_cores"]?.int)
      #expect((1...affinity).contains(physical) && physical <= report["physical_cores"]?.int ?? 0)
      let domains = try #require(report["memory_domains"]?.array)
      #expect(domains.reduce(0) { $0 + ($1["usable_cores"]?.int ?? 0) } == physical)
      for domain in domains {
        #expect(domain["id"]?.int != nil && domain["cpus"]?.string?.isEmpty == false)
        let usable = try #require(domain["usable_cores"]?.int)
        #expect(usable >= 0 && usable <= domain["cores"]?.int ?? 0)
        #expect((domain["memory_bytes"]?.int ?? 1) > 0)
      }
      let remarks = (report["remarks"]?.array ?? []).compactMap(\.string)
      let usable = min(physical, Int((report["cpu_quota"]?.double ?? Double(physical)).rounded(.up)))
      #expect(remarks.contains { $0.hasSuffix("leave --threads out for all.") } == (usable > 1))
      let page = try sft.succeed("doctor").output
      #expect(page.contains("\nOpenBLAS    "))
      #expect(page.contains("\ndomains     \(domains.count) memory domain"))
      // OpenBLAS's oldest kernels, on a CPU that can do more.
      sft.environment["OPENBLAS_CORETYPE"] = "Prescott"
      let old = try sft.succeed("doctor", "--json").json()
      let words = (old["remarks"]?.array ?? []).compactMap(\.string).joined(separator: "\n")
      if old["linear_algebra"]?["core_type"]?.string == "Prescott",
        old["linear_algebra"]?["kernels"]?.string != "portable"
      {
        #expect(
          words.contains("OpenBLAS runs with its Prescott kernels") && words.contains("Unset OPENBLAS_CORETYPE."))
      }
    }
  }
}
