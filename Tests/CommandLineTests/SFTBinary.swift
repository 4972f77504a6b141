import Files
import Foundation
import JSON
import Testing
import TestSupport

/// What a command did.
struct Outcome {
  var code: Int32
  var output: String
  var errors: String

  /// The one JSON value on standard output; fails where there is none or more than one.
  func json() throws -> JSONValue {
    try Array(output.utf8).withUnsafeBytes { try parseJSON($0, file: "standard output") }
  }

  /// Standard output's lines, each a JSON value.
  func jsonLines() throws -> [JSONValue] {
    try output.split(separator: "\n").map { line in
      try Array(line.utf8).withUnsafeBytes { try parseJSON($0, file: "standard output") }
    }
  }
}

/// The built `sft`, run in a fresh folder with nothing of the user's in its environment.
struct SFTBinary {
  /// The folder commands run in.
  let folder: String
  var environment: [String: String] = [:]

  static let tiny = fixturesFolder + "/gpt2-tiny"
  static let model = tiny + "/model"
  static let records = tiny + "/records.jsonl"

  /// Beside the test bundle, where the build puts both.
  static func path() throws -> String {
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
    let path = parentPath(canonicalPath(bundle) ?? bundle) + "/sft"
    try #require(try fileExists(path), "\(path) is not there: build the package's products first")
    return path
  }

  func path(_ name: String) -> String { folder + "/" + name }

  func write(_ text: String, to name: String) throws { try writeAtomically(text, to: path(name)) }

  func read(_ name: String) throws -> String { String(decoding: try readFile(path(name)), as: UTF8.self) }

  /// Starts a command. Its output goes to files, so that no pipe can fill up.
  func start(
    _ arguments: [String], output: FileHandle? = nil, in directory: String? = nil, executable: String? = nil
  ) throws -> Running {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try executable ?? Self.path())
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: directory ?? folder)
    var environment = ["PATH": "/usr/bin:/bin", "HOME": folder, "SWIFT_BACKTRACE": "enable=no"]
    environment.merge(self.environment) { $1 }
    process.environment = environment
    process.standardInput = FileHandle.nullDevice
    let number = UInt64.random(in: 0 ... .max)
    let (outputPath, errorPath) = ("/tmp/sft-out-\(number)", "/tmp/sft-err-\(number)")
    for path in [outputPath, errorPath] { try writeAtomically("", to: path) }
    process.standardOutput = try output ?? FileHandle(forWritingTo: URL(fileURLWithPath: outputPath))
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errorPath))
    try process.run()
    return Running(process: process, outputPath: outputPath, errorPath: errorPath)
  }

  /// Runs a command to its end.
  @discardableResult
  func run(_ arguments: String..., in directory: String? = nil) throws -> Outcome {
    try start(arguments, in: directory).finish()
  }

  @discardableResult
  func run(_ arguments: [String], in directory: String? = nil) throws -> Outcome {
    try start(arguments, in: directory).finish()
  }

  /// Runs a line of bash, in which `sft` and `$SFT` are the command.
  func shell(_ line: String) throws -> Outcome {
    let script = "export SFT='\(try Self.path())'; sft() { \"$SFT\" \"$@\"; }; set -o pipefail; \(line)"
    return try start(["-c", script], executable: "/bin/bash").finish()
  }

  /// A copy of the tiny model, under a name of its own.
  func copyModel(to name: String) throws {
    try createDirectory(path(name))
    for file in try directoryEntries(Self.model) {
      try writeAtomically(try readFile(Self.model + "/" + file), to: path(name + "/" + file))
    }
  }

  /// The same, its last weight not a number.
  func copyModelWithNaN(to name: String) throws {
    try copyModel(to: name)
    var weights = try readFile(Self.model + "/model.safetensors")
    weights.replaceSubrange(weights.count - 4..<weights.count, with: [0, 0, 0xc0, 0x7f])
    try writeAtomically(weights, to: path(name + "/model.safetensors"))
  }

  /// Runs a command that must succeed.
  @discardableResult
  func succeed(
    _ arguments: String..., in directory: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Outcome {
    let outcome = try run(arguments, in: directory)
    #expect(outcome.code == 0, "\(arguments): \(outcome.errors)", sourceLocation: sourceLocation)
    return outcome
  }

  /// Runs a command that must fail with `code` and, on the last line of standard error, exactly `message`.
  func fail(
    _ code: Int32, _ message: String, _ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let outcome = try run(arguments)
    let last = outcome.errors.split(separator: "\n").last.map(String.init) ?? ""
    #expect(last.replacing(folder, with: "HERE") == "error: " + message, sourceLocation: sourceLocation)
    #expect(outcome.code == code, "\(arguments)", sourceLocation: sourceLocation)
    #expect(outcome.output == "", sourceLocation: sourceLocation)
  }

  /// Temporary files and folders anywhere below the folder.
  func leftovers() throws -> [String] {
    func search(_ path: String) throws -> [String] {
      try directoryEntries(path).flatMap { name -> [String] in
        let entry = path + "/" + name
        if TemporaryName(entry) != nil { return [entry] }
        return try directoryExists(entry) ? try search(entry) : []
      }
    }
    return try search(folder)
  }

  /// Prepares the reference records without validation.
  func prepare(_ arguments: String...) throws { try prepare(arguments) }

  func prepare(_ arguments: [String]) throws {
    let outcome = try run(["prepare", Self.records, "--model", Self.model, "--quiet"] + arguments)
    try #require(outcome.code == 0, "\(outcome.errors)")
  }

  /// Changes a run's `config.json`, as a program that has other settings would write it: with its checksum.
  func rewriteConfiguration(_ run: String, _ change: (String) -> String) throws {
    let name = ".sft/runs/\(run)/config.json"
    let checksum = try #require(try parseJSONFile(path(name))["checksum"]?.string)
    let changed = change(try read(name)).replacing(checksum, with: Digest.zero.hex)
    try writeAtomically(try #require(SealedText.seal(Array(changed.utf8))), to: path(name))
  }

  /// Lines of a run's metrics without what a clock said.
  func metrics(_ run: String, in workspace: String = ".sft") throws -> [String] {
    try lines(of: path("\(workspace)/runs/\(run)/metrics.jsonl")).map { line in
      guard var object = try line.withUnsafeBytes({ try parseJSON($0, file: "metrics.jsonl") }).object else {
        return "not an object"
      }
      object.members.removeAll { ["seconds", "elapsed", "tokens_per_second"].contains($0.key) }
      return JSONValue.object(object).serialized
    }
  }
}

/// A command on its way.
struct Running {
  let process: Process
  let outputPath: String
  let errorPath: String

  func finish() throws -> Outcome {
    process.waitUntilExit()
    defer { for path in [outputPath, errorPath] { try? removeTree(path) } }
    return Outcome(
      // As a shell counts it.
      code: process.terminationReason == .uncaughtSignal ? 128 + process.terminationStatus : process.terminationStatus,
      output: String(decoding: try readFile(outputPath), as: UTF8.self),
      errors: String(decoding: try readFile(errorPath), as: UTF8.self))
  }
}

/// Runs `body` in a fresh folder that is removed afterwards.
func withSFT<Result>(_ body: (inout SFTBinary) throws -> Result) throws -> Result {
  try withTemporaryFolder { folder in
    var binary = SFTBinary(folder: canonicalPath(folder) ?? folder)
    return try body(&binary)
  }
}
