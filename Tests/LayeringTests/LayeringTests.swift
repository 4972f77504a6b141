import Files
import Foundation
import JSON
import Testing
import TestSupport

/// SwiftPM lets a target import what it does not declare, and does not know which way the targets should lean.
@Suite struct LayeringTests {
  private static let root = parentPath(parentPath(fixturesFolder))

  /// `swift package dump-package`, with a scratch folder of its own: the usual one is locked while tests run.
  private func dumpPackage(_ scratch: String) throws -> JSONValue {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "swift", "package", "--package-path", Self.root, "--scratch-path", scratch, "--ignore-lock", "dump-package",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try writeAtomically("", to: scratch + "/package.json")
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: scratch + "/package.json"))
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "swift package dump-package failed")
    return try parseJSONFile(scratch + "/package.json")
  }

  @Test func everyImportIsDeclaredAndGoesTheRightWay() throws {
    try withTemporaryFolder { scratch in
      let layers = try Layers.read(sources: Self.root + "/Sources", package: try dumpPackage(scratch))
      // Nothing was overlooked: every folder of sources is a target, and those with Swift in them import something.
      let folders = try directoryEntries(Self.root + "/Sources")
      #expect(Set(folders) == Set(layers.map(\.name)))
      #expect(layers.first { $0.name == "Pipeline" }?.imports["Training"] != nil)
      #expect(Layers.breaches(layers) == [])
    }
  }

  @Test func everyTargetHasItsPlace() throws {
    try withTemporaryFolder { scratch in
      let layers = try Layers.read(sources: Self.root + "/Sources", package: try dumpPackage(scratch))
      let placed = Set(Layers.allowed.keys).union(Layers.special.keys).union(["Pipeline"])
      #expect(Set(layers.map(\.name)).subtracting(placed) == [])
    }
  }

  @Test func importsAreFoundHoweverTheyAreWritten() {
    let source = """
      import Core
      @testable import Files
      @preconcurrency public import JSON  // for something
      import struct Loading.Options
      package import class Models.Decoder
      // import Weights
      let text = "import Kernels"
      """
    #expect(Layers.imports(in: source) == ["Core", "Files", "JSON", "Loading", "Models"])
  }

  /// A made-up tree with one breach of each kind.
  @Test func breachesAreFound() throws {
    try withTemporaryFolder { folder in
      let sources: [(path: String, text: String)] = [
        ("Core/A.swift", "import Files\n"), ("Files/A.swift", "import Core\n"),
        ("Loading/Sub/A.swift", "import Core\nimport Tokenizing\n"), ("Tokenizing/A.swift", "import Weights\n"),
        ("Weights/A.swift", "import Core\n"), ("Training/A.swift", "import Pipeline\nimport Weights\n"),
        ("Pipeline/A.swift", "import Training\nimport Loading\nimport Foundation\n"),
        ("Artifacts/A.swift", "import Loading\n"), ("Newcomer/A.swift", "import Weights\n"),
        ("sft/A.swift", "import Pipeline\nimport Artifacts\n"),
      ]
      for source in sources {
        try createDirectory(parentPath("\(folder)/\(source.path)"))
        try writeAtomically(source.text, to: "\(folder)/\(source.path)")
      }
      let declared: [(String, [String])] = [
        ("Core", ["Files"]), ("Files", ["Core"]), ("Loading", ["Core", "Tokenizing"]), ("Tokenizing", ["Weights"]),
        ("Weights", ["Core"]), ("Training", ["Pipeline", "Weights", "Core"]), ("Pipeline", ["Training", "Loading"]),
        ("Artifacts", ["Loading"]), ("Newcomer", ["Weights"]), ("sft", ["Pipeline"]),
      ]
      let targets = declared.map { name, dependencies in
        let list = dependencies.map { #"{"byName":["\#($0)",null]}"# }.joined(separator: ",")
        return #"{"name":"\#(name)","type":"regular","dependencies":[\#(list)]}"#
      }
      let test = #"{"name":"CoreTests","type":"test","dependencies":[{"byName":["Pipeline",null]}]}"#
      let package = #"{"targets":[\#((targets + [test]).joined(separator: ","))]}"#
      let value = try Array(package.utf8).withUnsafeBytes { try parseJSON($0, file: "package.json") }
      #expect(
        Layers.breaches(try Layers.read(sources: folder, package: value)) == [
          "Artifacts/A.swift imports Loading, which Artifacts must not",
          "Core/A.swift imports Files, which Core must not",
          "Loading/Sub/A.swift imports Tokenizing, which Loading must not",
          "Newcomer/A.swift imports Weights, which Newcomer must not",
          "Tokenizing/A.swift imports Weights, which Tokenizing must not",
          "Training declares Core, which it does not import",
          "Training/A.swift imports Pipeline, which Training must not",
          "Training/A.swift imports Weights, which Training must not",
          "sft/A.swift imports Artifacts, which sft does not declare",
        ])
    }
  }
}
