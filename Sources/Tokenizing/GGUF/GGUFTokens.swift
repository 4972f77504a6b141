import Core
import GGUF

/// The tokenizer that a GGUF file holds (`tokenizer.ggml.*`): what cuts text as llama.cpp does with that file.
struct GGUFTokens {
  private(set) var description = TokenizerDescription()
  /// What ends a text, the usual one first.
  private(set) var ends: [Int32] = []

  private let file: GGUFFile
  private let texts: [String]
  private let kinds: [SentencePieceModel.Kind]
  private var keys: GGUFMetadata { file.metadata }

  private static let prefix = "tokenizer.ggml."

  /// Throws `badData`, naming the key, for what is missing, contradicts itself, or is not supported.
  init(_ file: GGUFFile) throws {
    self.file = file
    guard let model = try file.metadata.string(Self.prefix + "model") else {
      throw SFTError(.badData, "the key '\(Self.prefix)model' is missing: the file has no tokenizer", file: file.path)
    }
    guard let texts = try file.metadata.strings(Self.prefix + "tokens") else {
      throw SFTError(.badData, "the key '\(Self.prefix)tokens' is missing", file: file.path)
    }
    self.texts = texts
    kinds = try Self.kinds(file, count: texts.count)
    for name in ["eos", "eot", "eom"] {
      guard let id = try token(name), !ends.contains(id) else { continue }
      ends.append(id)
    }
    switch model {
    case "gpt2": try readByteLevel()
    case "llama": try readSentencePiece()
    default: throw failure("model", "is \(quoted(model)); supported: gpt2, llama")
    }
    nameSpecialTokens()
    try stripAsPhi3()
  }

  private func failure(_ key: String, _ message: String) -> SFTError {
    SFTError(.badData, "the key '\(Self.prefix)\(key)' \(message)", file: file.path)
  }

  /// Normal where the file says nothing.
  private static func kinds(_ file: GGUFFile, count: Int) throws -> [SentencePieceModel.Kind] {
    let key = prefix + "token_type"
    guard let numbers = try file.metadata.ints(key) else { return Array(repeating: .normal, count: count) }
    guard numbers.count == count else {
      throw SFTError(
        .badData, "the key '\(key)' has \(grouped(numbers.count)) values for \(grouped(count)) tokens", file: file.path)
    }
    return try numbers.enumerated().map { id, number in
      guard let kind = SentencePieceModel.Kind(rawValue: number) else {
        throw SFTError(
          .badData, "the key '\(key)' gives the token \(id) the type \(number), which is unknown", file: file.path)
      }
      return kind
    }
  }

  /// The id that a key such as `eos_token_id` names; nil where it is absent.
  private func token(_ name: String) throws -> Int32? {
    let key = name + "_token_id"
    guard let id = try keys.int(Self.prefix + key) else { return nil }
    guard texts.indices.contains(id), let number = Int32(exactly: id) else {
      throw failure(key, "is \(id), and there are \(grouped(texts.count)) tokens")
    }
    return number
  }

  /// Tokens that keys name are special, whatever type they are given.
  private mutating func nameSpecialTokens() {
    let named = Set((["bos", "unknown", "padding"].compactMap { (try? token($0)) ?? nil } + ends))
    for index in description.addedTokens.indices where named.contains(description.addedTokens[index].id) {
      description.addedTokens[index].special = true
    }
    description.add(
      named.sorted().filter { kinds[Int($0)] != .unused }.map {
        AddedToken(id: $0, content: texts[Int($0)], special: true)
      })
  }

  /// Where the model's name says Phi-3, special tokens take the white space after them along: the file has no such flags, and
  /// llama.cpp goes by the name.
  private mutating func stripAsPhi3() throws {
    let name = try keys.string("general.name")?.lowercased() ?? ""
    guard name.contains("phi-3") || name.contains("phi3") else { return }
    for index in description.addedTokens.indices {
      let isLeft = ["<unk>", "<s>", "<|endoftext|>"].contains(description.addedTokens[index].content)
      description.addedTokens[index].rstrip = !isLeft
    }
  }

  // MARK: - BPE over bytes

  private mutating func readByteLevel() throws {
    guard let name = try keys.string(Self.prefix + "pre") else {
      throw failure("pre", "is missing, which says how text is cut into words")
    }
    guard let cutting = GGUFCutting.named(name) else {
      throw failure("pre", "is \(quoted(name)), a way of cutting text that is not supported")
    }
    guard let merges = try keys.strings(Self.prefix + "merges") else { throw failure("merges", "is missing") }
    description.letters = .bytes
    description.preTokenizer = PreTokenizer(steps: cutting.steps)
    description.ignoreMerges = cutting.ignoresMerges
    description.merges = try merges.enumerated().map { index, merge in
      guard let pair = splitMerge(merge) else {
        throw failure("merges", "has \(quoted(merge)) as its merge \(index + 1), which is not two tokens")
      }
      return pair
    }
    (description.vocabularyFile, description.mergesFile) = (file.path, file.path)
    setByteLevelTokens()
    if try keys.bool(Self.prefix + "add_bos_token") ?? cutting.addsBeginning, let token = try token("bos") {
      description.beginning = [token]
    }
    if try keys.bool(Self.prefix + "add_eos_token") ?? false, let end = ends.first { description.ending = [end] }
  }

  /// Control tokens and user-defined ones are looked for in a text, and are not words of the model's unless merges make them.
  private mutating func setByteLevelTokens() {
    var added = ByteTable(capacity: 1024)
    for (id, text) in texts.enumerated() {
      switch kinds[id] {
      case .normal, .byte, .unknown: description.vocabulary.append((text, id))
      case .unused: break
      case .control, .userDefined:
        _ = added.insert(text)
        description.addedTokens.append(
          AddedToken(id: Int32(truncatingIfNeeded: id), content: text, special: kinds[id] == .control))
      }
    }
    var made = ByteTable(capacity: 16)
    for merge in description.merges {
      for text in [merge.left, merge.right, merge.left + merge.right] where added.find(text) != nil {
        _ = made.insert(text)
      }
    }
    for token in description.addedTokens where made.find(token.content) != nil {
      description.vocabulary.append((token.content, Int(token.id)))
    }
  }

  // MARK: - SentencePiece's BPE over characters

  private mutating func readSentencePiece() throws {
    guard let scores = try keys.floats(Self.prefix + "scores") else { throw failure("scores", "is missing") }
    guard scores.count == texts.count else {
      throw failure("scores", "has \(grouped(scores.count)) values for \(grouped(texts.count)) tokens")
    }
    if let id = scores.firstIndex(where: { !$0.isFinite }) {
      throw failure("scores", "gives the token \(id) \(scores[id])")
    }
    let pieces = texts.indices.map {
      SentencePieceModel.Piece(text: texts[$0], score: scores[$0], kind: kinds[$0])
    }
    // llama.cpp's own where keys are absent.
    let beginning = try token("bos").map { Int($0) } ?? 1
    if ends.isEmpty, texts.count > 2, kinds[2] == .control { ends = [2] }
    description = try SentencePieceModel.description(
      pieces, addsPrefix: try keys.bool(Self.prefix + "add_space_prefix") ?? true, beginning: beginning,
      end: ends.first.map { Int($0) } ?? -1, addsBeginning: try keys.bool(Self.prefix + "add_bos_token") ?? true,
      addsEnd: try keys.bool(Self.prefix + "add_eos_token") ?? false, file: file.path)
  }
}
