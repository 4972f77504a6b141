import Core
import Files

import Loading

/// What loading some bytes gave.
struct Loaded {
  var conversations: [Conversation] = []
  /// As instructions with their answers.
  var records: [Record] { conversations.map(\.lastExchange) }
  var report: LoadingReport?
  /// The error that ended it, the path replaced by "F".
  var failure: String?
  var path = ""

  /// The records without their places.
  var texts: [[String]] { records.map { [$0.instruction, $0.input, $0.output] } }
  var lines: [Int] { records.map(\.line) }
  /// The skipped records' messages, the path replaced by "F".
  var skipped: [String] { report?.skippedBad.map { $0.description.replacing(path, with: "F") } ?? [] }
}

/// Writes `bytes` to a file and loads it.
func load(_ bytes: [UInt8], _ options: LoadingOptions = LoadingOptions(), name: String = "") throws -> Loaded {
  var loaded = Loaded()
  loaded.path = "/tmp/sft-records-\(UInt64.random(in: 0 ... .max))\(name)"
  defer { try? removeTree(loaded.path) }
  try writeAtomically(bytes, to: loaded.path)
  do {
    var conversations: [Conversation] = []
    defer { loaded.conversations = conversations }
    loaded.report = try loadRecords(from: [MappedFile(loaded.path)], options: options) { conversations += $0 }
  } catch {
    loaded.failure = "\(error)".replacing(loaded.path, with: "F")
  }
  return loaded
}

func load(_ text: String, _ options: LoadingOptions = LoadingOptions(), name: String = "") throws -> Loaded {
  try load(Array(text.utf8), options, name: name)
}

/// Options that make many chunks of little text.
func options(chunkBytes: Int, threads: Int = 1, skipBad: Bool = false) -> LoadingOptions {
  var options = LoadingOptions(skipBad: skipBad, threads: threads)
  options.chunkBytes = chunkBytes
  return options
}
