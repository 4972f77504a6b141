import Files
import Foundation
import TestSupport
import Testing

/// A process that is killed at any write of the last update, or whose disk is full from there on, leaves a run that goes on
/// to the same files.
@Suite struct FaultTests {
  /// A run of a few updates: what starts it, and what goes on with it.
  struct Course: Sendable, CustomTestStringConvertible {
    var name: String
    var run = "a"
    var prepare = ["--val", "0.2"]
    var start: [String]
    var resume: [String]
    /// Faults before the last checkpoint has its name are tried, too.
    var isWhole = false

    var testDescription: String { name }
  }

  static let settings = [
    "--batch-size", "2", "--save-every", "1", "--lora-r", "2", "--threads", "1", "--quiet",
  ]
  static let resume = ["train", "--run", "a", "--resume", "--quiet"]
  static let whole = ["--batch-size", "2", "--save-every", "1", "--threads", "1", "--quiet"]

  static let courses = [
    Course(
      name: "LoRA", start: ["train", "--run", "a", "--max-steps", "3", "--lr", "1e-2", "--eval-every", "1"] + settings,
      resume: resume, isWhole: true),
    Course(
      name: "QLoRA without validation", prepare: ["--val", "0"],
      start: ["train", "--run", "a", "--max-steps", "3", "--lr", "1e-2", "--qlora"] + settings, resume: resume),
    Course(
      name: "early stopping",
      start: ["train", "--run", "a", "--max-steps", "40", "--lr", "0.5", "--eval-every", "1", "--early-stopping", "1"]
        + settings, resume: resume),
    Course(
      name: "all weights",
      start: ["train", "--full", "--run", "a", "--max-steps", "3", "--lr", "1e-3", "--eval-every", "1"] + whole,
      resume: resume),
    Course(
      name: "a sweep", run: "s-lr1e-2",
      start: ["train", "--run", "s", "--max-steps", "2", "--lr", "1e-3,1e-2", "--eval-every", "1"] + settings,
      resume: ["train", "--run", "s", "--lr", "1e-3,1e-2", "--resume", "--quiet"]),
    Course(
      name: "from scratch",
      start: [
        "pretrain", "text.txt", "--config", "config.json", "--vocab-size", "300", "--run", "a", "--max-steps", "3",
        "--eval-every", "1",
      ] + whole, resume: ["pretrain", "--run", "a", "--resume", "--quiet"]),
  ]

  /// The course, gone undisturbed, in the workspace `whole`; and in `begun` up to before the first write of its last update.
  private func withCourse(_ course: Course, _ body: (SFTBinary, _ library: String) throws -> Void) throws {
    try withSFT { sft in
      let library = sft.path("faults.so")
      try compile(fixturesFolder + "/faults.c", to: library)
      let texts = try #require(String(bytes: readFile(SFTBinary.records), encoding: .utf8))
      try sft.write(String(texts.prefix(12_000)), to: "text.txt")
      try sft.write(
        #"{"model_type": "gpt2", "vocab_size": 1, "n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 3}"#,
        to: "config.json")
      try sft.prepare(["--workspace", "empty"] + course.prepare)
      try copyTree(sft.path("empty"), sft.path("whole"))
      let log = try run(sft, course.start, in: "whole", library, ["FAULT_MATCH": "\(course.run)/metrics.jsonl"])
      // The update's metrics, its validation and its sample.
      let last = log.count - (course.prepare.contains("0") ? 0 : 2)
      try copyTree(sft.path("empty"), sft.path("begun"))
      _ = try run(
        sft, course.start, in: "begun", library,
        ["FAULT_MATCH": "\(course.run)/metrics.jsonl", "FAULT_KILL": "\(last)"])
      #expect(try !fileExists(sft.path("begun/runs/\(course.run)/finished.json")))
      try copyTree(sft.path("begun/runs/\(course.run)"), sft.path("saved"))
      try body(sft, library)
    }
  }

  @Test(arguments: courses) func aKillAtAnyWriteChangesNothing(_ course: Course) throws {
    try withCourse(course) { sft, library in
      try expectSameAfter("FAULT_KILL", course, sft, library)
    }
  }

  @Test(arguments: courses.filter { $0.name != "a sweep" && $0.name != "early stopping" })
  func aFullDiskAtAnyWriteChangesNothing(_ course: Course) throws {
    try withCourse(course) { sft, library in
      try expectSameAfter("FAULT_FULL", course, sft, library)
    }
  }

  /// A run is there with its settings, or not at all: there is none to be gone on with by default ones.
  @Test func aRunWhoseSettingsCannotBeWrittenIsNotBegun() throws {
    try withSFT { sft in
      let library = sft.path("faults.so")
      try compile(fixturesFolder + "/faults.c", to: library)
      try sft.prepare(["--val", "0"])
      let start = ["train", "--run", "a", "--max-steps", "2"] + Self.settings
      // The folder, its lock, and of the origin's and the two settings' files each its content and its name; then the folder's.
      for (fault, number) in (1...11).flatMap({ [("FAULT_FULL", $0), ("FAULT_KILL", $0)] }) {
        _ = try run(sft, start, in: ".sft", library, ["FAULT_MATCH": "runs/a", fault: "\(number)"])
        #expect(try sft.succeed("runs").output == "no runs in .sft/runs\n")
        try sft.fail(
          66, "there is no run 'a' in .sft/runs. No run was started there.", "train", "--run", "a", "--resume")
      }
      #expect(try sft.run(start).code == 0)
      #expect(try directoryEntries(sft.path(".sft/runs")) == ["a"])
    }
  }

  private func expectSameAfter(_ fault: String, _ course: Course, _ sft: SFTBinary, _ library: String) throws {
    let expected = try result(sft, "whole", course)
    // All that goes on writes, from taking the run up to marking its end.
    let writes = try run(sft, course.resume, in: "begun", library, ["FAULT_MATCH": "runs/\(course.run)"])
    #expect(try result(sft, "begun", course) == expected)
    #expect(writes.count > 40)
    let checkpoint = try #require(writes.lastIndex { $0.contains(/^rename .*\/step-\d+$/) })
    // What is done below a temporary name is the same to whoever comes next, whenever it ends.
    let tried = writes.indices.filter { !writes[$0].contains(".tmp-") && (course.isWhole || $0 >= checkpoint) }
    #expect(tried.count >= 5)
    for number in tried.map({ $0 + 1 }) {
      try removeTree(sft.path("begun/runs/\(course.run)"))
      try copyTree(sft.path("saved"), sft.path("begun/runs/\(course.run)"))
      _ = try run(
        sft, course.resume, in: "begun", library, ["FAULT_MATCH": "runs/\(course.run)", fault: "\(number)"])
      let resumed = try sft.run(course.resume + ["--workspace", "begun"])
      #expect(resumed.code == 0, "\(writes[number - 1]): \(resumed.errors)")
      let found = try result(sft, "begun", course)
      let names = Set(expected.keys).union(found.keys)
      #expect(names.filter { expected[$0] != found[$0] } == [], "\(number): \(writes[number - 1])")
    }
  }

  /// Files that hold times or the workspace's name, or that are there before a run begins.
  private static let madeOtherwise: Set<String> = [
    "config.json", "metrics.jsonl", "blueprint", "origin.json", "settings.yaml",
  ]

  /// Everything in the run's folder but what a clock decides, by name.
  private func result(_ sft: SFTBinary, _ workspace: String, _ course: Course) throws -> [String: [UInt8]] {
    let folder = sft.path("\(workspace)/runs/\(course.run)")
    var files: [String: [UInt8]] = [:]
    func add(_ name: String) throws {
      let path = folder + "/" + name
      if try directoryExists(path) {
        files[name] = []
        for entry in try directoryEntries(path) { try add("\(name)/\(entry)") }
      } else {
        files[name] = try readFile(path)
      }
    }
    for name in try directoryEntries(folder) where !Self.madeOtherwise.contains(name) {
      try add(name)
    }
    files["metrics.jsonl"] = Array(try sft.metrics(course.run, in: workspace).joined(separator: "\n").utf8)
    return files
  }

  /// Runs a command under the library; gives the writes that it counted.
  private func run(
    _ sft: SFTBinary, _ arguments: [String], in workspace: String, _ library: String, _ faults: [String: String]
  ) throws -> [String] {
    var sft = sft
    let log = sft.path("writes.log")
    try removeTree(log)
    sft.environment = faults
    sft.environment["LD_PRELOAD"] = library
    sft.environment["FAULT_LOG"] = log
    let outcome = try sft.run(arguments + ["--workspace", workspace])
    if faults.count == 1 { #expect(outcome.code == 0, "\(outcome.errors)") }
    return try fileExists(log) ? try sft.read("writes.log").split(separator: "\n").map(String.init) : []
  }

  private func compile(_ source: String, to library: String) throws {
    let process = try Process.run(
      URL(fileURLWithPath: "/usr/bin/cc"), arguments: ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"])
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
  }

  private func copyTree(_ source: String, _ target: String) throws {
    try FileManager.default.copyItem(atPath: source, toPath: target)
  }
}
