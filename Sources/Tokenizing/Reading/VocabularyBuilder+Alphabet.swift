import Core

/// The letters that merging starts from.
extension VocabularyBuilder {
  func alphabet(_ description: TokenizerDescription) throws -> Alphabet {
    let fallback = description.byteFallback ? fallbackTokens() : []
    switch description.letters {
    case .bytes:
      let tokens = try byteTokens(description)
      let lacksSome = tokens.enumerated().contains { $0.element < 0 && ByteAlphabet.occursInUTF8($0.offset) }
      if lacksSome, description.byteFallback {
        throw SFTError(
          .badData, "\"byte_fallback\" of a byte-level vocabulary that lacks bytes is not supported", file: file)
      }
      return Alphabet(
        kind: .bytes(tokens), fallback: [], unknown: lacksSome ? try unknown(description) : nil,
        fusesUnknown: description.fusesUnknown)
    case .characters:
      let tokens = CharacterTokens(characterTokens().map { ($0, $1) })
      return Alphabet(
        kind: .characters(tokens), fallback: fallback, unknown: try unknown(description),
        fusesUnknown: description.fusesUnknown)
    }
  }

  private func unknown(_ description: TokenizerDescription) throws -> Int32? {
    guard let token = description.unknownToken else { return nil }
    guard let number = texts.find(token), number < modelCount else {
      throw SFTError(.badData, "its \"unk_token\" \"\(token)\" is not in the vocabulary", file: file)
    }
    return ids[number]
  }

  /// The tokens of single bytes. Some vocabularies lack those of control characters and other rare bytes; one without those
  /// of plain ASCII is of another kind.
  private func byteTokens(_ description: TokenizerDescription) throws -> [Int32] {
    try ByteAlphabet.points.enumerated().map { byte, point in
      let text = Unicode.Scalar(point).map { String(Character($0)) } ?? ""
      if let number = texts.find(text), number < modelCount { return ids[number] }
      guard !(0x20...0x7e).contains(byte) else {
        throw SFTError(
          .badData, "its vocabulary has no token \"\(text)\" for the byte \(byte): it is not byte-level BPE", file: file
        )
      }
      return -1
    }
  }

  /// Tokens of one character each.
  private func characterTokens() -> [(Unicode.Scalar, Int32)] {
    (0..<modelCount).compactMap { number in
      let scalars = String(decoding: texts[number], as: UTF8.self).unicodeScalars
      guard let first = scalars.first, scalars.count == 1 else { return nil }
      return (first, ids[number])
    }
  }

  /// The tokens `<0x00>`…`<0xFF>`, -1 for those that are not there.
  private func fallbackTokens() -> [Int32] {
    (0..<256).map { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      guard let number = texts.find("<0x\(digits.count == 1 ? "0" : "")\(digits)>"), number < modelCount else {
        return -1
      }
      return ids[number]
    }
  }

  /// Where long words may be cut; nil where that cannot be said: of letters that are left out, and of merges of what stands
  /// for letters without a token.
  func joints(_ description: TokenizerDescription, _ alphabet: Alphabet, merges: [Merge]) -> WordJoints? {
    guard case .characters(let tokens) = alphabet.kind else { return nil }
    guard alphabet.unknown != nil || alphabet.fallback.allSatisfy({ $0 >= 0 }) && !alphabet.fallback.isEmpty else {
      return nil
    }
    let standIns = Set(alphabet.fallback + [alphabet.unknown].compactMap(\.self))
    guard !merges.contains(where: { standIns.contains($0.left) || standIns.contains($0.right) }) else { return nil }
    let pairs = description.merges.compactMap { merge in
      merge.left.unicodeScalars.last.flatMap { left in merge.right.unicodeScalars.first.map { (left, $0) } }
    }
    return WordJoints(pairs, tokens)
  }

  /// The model's tokens as words are written, for looking up whole ones.
  func words(_ letters: TokenizerDescription.Letters) -> (ByteTable, [Int32]) {
    var table = ByteTable(capacity: modelCount)
    var wordIDs: [Int32] = []
    for number in 0..<modelCount {
      let text = texts[number]
      guard let bytes = letters == .bytes ? ByteAlphabet.bytes(of: String(decoding: text, as: UTF8.self)) : Array(text)
      else { continue }
      if bytes.withUnsafeBufferPointer({ table.insert($0) }) != nil { wordIDs.append(ids[number]) }
    }
    return (table, wordIDs)
  }
}
