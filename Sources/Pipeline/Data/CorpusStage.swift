import Artifacts
import Core
import Files
import Tokenizing

/// Plain text → one stream of token ids, with EOS after each document: a file is one, and EOS written out in it ends
/// another.
enum CorpusStage {
  static let name = "corpus"
  static let version = 1
  static let tokensFile = "tokens.zst"

  struct Summary: Codable, Sendable, Equatable {
    var documents: Int
    var tokens: Int
    /// Bytes of the files.
    var bytes: Int
  }

  static func run(
    _ store: ArtifactStore, files: [String], tokenizer: Tokenizer, endOfText: Int32, threads: Int
  ) throws -> Artifact<Summary> {
    let sources = try SourceFiles(files, store)
    let key = ArtifactKey(
      stage: name, version: version,
      settings: [Setting("tokenizer", tokenizer.digest), Setting("eos", endOfText)], inputs: sources.contents)
    return try store.artifact(key) { writer in
      let shard = ShardWriter(try writer.file(tokensFile))
      var summary = Summary(documents: 0, tokens: 0, bytes: 0)
      for file in files {
        let text = try PlainText(file)
        var ids = try tokenizer.encode(text, threads: threads)
        if ids.last != endOfText { ids.append(endOfText) }
        try ids.withUnsafeBytes { try shard.append($0, itemSize: 4, threads: threads) }
        summary.documents += ids.count { $0 == endOfText }
        summary.tokens += ids.count
        summary.bytes += text.count
      }
      try sources.checkUnchanged()
      try shard.finish()
      return summary
    }
  }

  static func tokens(_ artifact: Artifact<Summary>, threads: Int) throws -> [Int32] {
    try ShardReader(try artifact.file(tokensFile)).decompressAll(as: Int32.self, threads: threads)
  }
}

/// Windows of a stream of tokens: the last share of the stream is for validation, the rest for training.
struct Windows {
  private let tokens: [Int32]
  /// Inputs of a window; it has a token more, the last one's target.
  private let length: Int
  let training: [Range<Int>]
  let validation: [Range<Int>]

  /// Training windows start `stride` tokens apart, validation windows side by side; the last of each may be shorter.
  ///
  /// Throws `badData` where the training part is shorter than a window.
  init(_ tokens: [Int32], length: Int, stride: Int, validationShare: Double) throws {
    self.tokens = tokens
    self.length = length
    let split = tokens.count - Int((Double(tokens.count) * validationShare).rounded())
    guard split > length else {
      throw SFTError(
        .badData,
        "the text has \(grouped(split)) tokens to train on, fewer than one window of \(grouped(length + 1))",
        advice: "Give more text, a smaller \(OptionName.val), or a configuration with a shorter context")
    }
    training = Self.cut(0..<split, length: length, stride: stride)
    validation = Self.cut(split..<tokens.count, length: length, stride: length)
  }

  private static func cut(_ part: Range<Int>, length: Int, stride: Int) -> [Range<Int>] {
    var windows: [Range<Int>] = []
    var start = part.lowerBound
    while start + 1 < part.upperBound {
      let end = min(start + length + 1, part.upperBound)
      windows.append(start..<end)
      if end == part.upperBound { break }
      start += stride
    }
    return windows
  }

  /// Every token of it is supervised but the first, which nothing comes before.
  func sample(_ window: Range<Int>) -> Sample { Sample(tokens: Array(tokens[window]), promptCount: 1) }

  /// The first tokens of the validation part, for a sample to go on from.
  var prompt: [Int32] { validation.first.map { Array(tokens[$0].prefix(min(16, length / 2))) } ?? [] }
}
