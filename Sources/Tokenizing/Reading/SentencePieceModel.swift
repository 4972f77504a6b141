import Core
import Files

/// Reads SentencePiece's `tokenizer.model` (sentencepiece_model.proto), of BPE.
struct SentencePieceModel {
  enum Kind: Int {
    case normal = 1
    case unknown = 2
    case control = 3
    case userDefined = 4
    case unused = 5
    case byte = 6
  }

  struct Piece {
    var text = ""
    var score: Float = 0
    var kind = Kind.normal
  }

  private static let space = "▁"

  private let file: String
  private var pieces: [Piece] = []
  private var modelType = 1
  private var byteFallback = false
  private var writesSpaceAfterWords = false
  private var (beginning, end) = (1, 2)
  private var charsmap: ArraySlice<UInt8> = []
  private var denormalizes = false
  private var (addsPrefix, removesSpaces, escapesSpaces) = (true, true, true)
  /// User-defined pieces are looked for in a text as it is, and not once its spaces are visible.
  private var findsOwnFirst = false

  /// Ids are places in the list of pieces. `addsBeginning` and `addsEnd` are whether those stand around every text.
  static func read(_ path: String, addsBeginning: Bool, addsEnd: Bool) throws -> TokenizerDescription {
    let model = try SentencePieceModel(path)
    try model.check()
    return try model.description(addsBeginning, addsEnd)
  }

  /// As llama.cpp computes with the pieces of a GGUF file, which keeps no more of the model than these.
  static func description(
    _ pieces: [Piece], addsPrefix: Bool, beginning: Int, end: Int, addsBeginning: Bool, addsEnd: Bool, file: String
  ) throws -> TokenizerDescription {
    var model = SentencePieceModel(pieces: pieces, file: file)
    (model.addsPrefix, model.removesSpaces, model.findsOwnFirst) = (addsPrefix, false, true)
    (model.beginning, model.end, model.byteFallback) = (beginning, end, pieces.contains { $0.kind == .byte })
    return try model.description(addsBeginning, addsEnd)
  }

  private init(pieces: [Piece], file: String) { (self.pieces, self.file) = (pieces, file) }

  private init(_ path: String) throws {
    file = path
    var reader = ProtobufReader(try readFile(path, limit: 256 << 20)[...], file: path)
    while let (number, value) = try reader.next() {
      guard let bytes = value.bytes else { continue }
      let fields = ProtobufReader(bytes, file: path)
      switch number {
      case 1: try readPiece(fields)
      case 2: try readTrainer(fields)
      case 3: try readNormalizer(fields)
      case 5: try readDenormalizer(fields)
      default: break
      }
    }
  }

  private mutating func readPiece(_ reader: ProtobufReader) throws {
    var reader = reader
    var piece = Piece()
    while let (number, value) = try reader.next() {
      switch (number, value) {
      case (1, .bytes(let bytes)):
        guard let text = String(validating: bytes, as: UTF8.self) else {
          throw SFTError(.badData, "its piece \(pieces.count) is not UTF-8", file: file)
        }
        piece.text = text
      case (2, .float(let score)) where score.isFinite: piece.score = score
      case (3, .integer):
        guard let kind = value.integer.flatMap(Kind.init) else {
          throw SFTError(.badData, "its piece \(pieces.count) is of an unknown kind", file: file)
        }
        piece.kind = kind
      default: break
      }
    }
    pieces.append(piece)
  }

  private mutating func readTrainer(_ reader: ProtobufReader) throws {
    var reader = reader
    while let (number, value) = try reader.next() {
      switch number {
      case 3: modelType = value.integer ?? 0
      case 24: writesSpaceAfterWords = value.isTrue
      case 35: byteFallback = value.isTrue
      // An int32, which is written as 64 bits where it is negative.
      case 41: beginning = value.integer ?? -1
      case 42: end = value.integer ?? -1
      default: break
      }
    }
  }

  private mutating func readNormalizer(_ reader: ProtobufReader) throws {
    var reader = reader
    while let (number, value) = try reader.next() {
      switch number {
      case 2: charsmap = value.bytes ?? []
      case 3: addsPrefix = value.isTrue
      case 4: removesSpaces = value.isTrue
      case 5: escapesSpaces = value.isTrue
      default: break
      }
    }
  }

  private mutating func readDenormalizer(_ reader: ProtobufReader) throws {
    var reader = reader
    while let (number, value) = try reader.next() {
      if number == 2, let bytes = value.bytes { denormalizes = !bytes.isEmpty }
    }
  }

  private func check() throws {
    func refuse(_ what: String) -> SFTError {
      SFTError(
        .badData, "\(what) is not supported in a SentencePiece model", file: file,
        advice: "Convert it with transformers, which writes a tokenizer.json")
    }
    let types = [1: "Unigram", 3: "Word", 4: "Char"]
    guard modelType == 2 else { throw refuse("the model type \(types[modelType] ?? "\(modelType)")") }
    guard !denormalizes else { throw refuse("a denormaliser") }
    guard escapesSpaces else { throw refuse("\"escape_whitespaces\" off") }
    guard !writesSpaceAfterWords else { throw refuse("\"treat_whitespace_as_suffix\"") }
    if let piece = pieces.first(where: { $0.kind == .unused }) { throw refuse("the unused piece \"\(piece.text)\"") }
  }

  /// LLaMA's and Mistral's files ask for no more than spaces to be visible.
  private func normalizer(_ kept: [AddedToken]) throws -> Normalizer {
    let sign = Array(Self.space.utf8)
    guard charsmap.isEmpty, !removesSpaces, kept.isEmpty else {
      return Normalizer(steps: [
        .sentencePiece(
          try SentencePieceNormalizer(
            map: charsmap, addsPrefix: addsPrefix, removesSpaces: removesSpaces, kept: kept, file: file))
      ])
    }
    return Normalizer(
      steps: (addsPrefix ? [.prepend(sign)] : []) + [.replace(Replacement(wanted: [0x20], content: sign))])
  }

  private func description(_ addsBeginning: Bool, _ addsEnd: Bool) throws -> TokenizerDescription {
    var result = TokenizerDescription()
    (result.vocabularyFile, result.mergesFile) = (file, file)
    // A row without a token is none; a user-defined piece that is looked for first is no letter or word of the model's.
    result.vocabulary = pieces.enumerated().compactMap { id, piece in
      piece.kind == .unused || findsOwnFirst && piece.kind == .userDefined ? nil : (piece.text, id)
    }
    result.addedTokens = pieces.enumerated().compactMap { id, piece in
      guard [.control, .unknown, .userDefined].contains(piece.kind) else { return nil }
      // A user-defined piece is found in text with visible spaces.
      let isOwn = piece.kind == .userDefined
      return AddedToken(
        id: Int32(id), content: piece.text, special: !isOwn, normalized: isOwn && !findsOwnFirst)
    }
    result.letters = .characters
    result.byteFallback = byteFallback
    result.unknownToken = pieces.first { $0.kind == .unknown }?.text
    result.fusesUnknown = true
    let (space, sign) = ([UInt8(0x20)], Array(Self.space.utf8))
    result.normalizer = try normalizer(result.addedTokens.filter(\.normalized))
    result.preTokenizer.steps = []
    result.decoder = .steps(
      [.replace(Replacement(wanted: sign, content: space)), .byteFallback, .fuse]
        + (addsPrefix || removesSpaces ? [.strip(content: space, start: 1, stop: 0)] : []))
    addMerges(to: &result)
    if pieces.indices.contains(end) { result.endOfText = pieces[end].text }
    if addsBeginning, pieces.indices.contains(beginning) { result.beginning = [Int32(beginning)] }
    if addsEnd, pieces.indices.contains(end) { result.ending = [Int32(end)] }
    return result
  }

  /// Two neighbours merge where both together are a piece, the one of the highest score first: every way of cutting a
  /// piece in two pieces is a merge.
  private func addMerges(to result: inout TokenizerDescription) {
    let normal = pieces.filter { $0.kind == .normal }
    var table = ByteTable(capacity: normal.count)
    for piece in normal { _ = table.insert(piece.text) }
    var ranks: [Int] = []
    var (rank, score) = (-1, Float.nan)
    for piece in normal.sorted(by: { $0.score > $1.score }) {
      if piece.score != score { (rank, score) = (rank + 1, piece.score) }
      let text = piece.text
      for cut in text.unicodeScalars.indices.dropFirst() {
        let (left, right) = (String(text[..<cut]), String(text[cut...]))
        guard table.find(left) != nil, table.find(right) != nil else { continue }
        result.merges.append((left, right))
        ranks.append(rank)
      }
    }
    result.mergeRanks = ranks
  }
}
