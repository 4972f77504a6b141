import Core
import Files

extension VocabularyBuilder {
  /// Over everything that decides what encoding and decoding give, however the files wrote it.
  func digest(_ description: TokenizerDescription, merges: [Merge], addedTokens: [AddedToken]) -> Digest {
    var content = CanonicalBytes()
    content.append("sft tokenizer 1")
    content.append(texts.count)
    for (id, number) in numberOf.enumerated() where number >= 0 {
      content.append(id)
      content.append(texts[Int(number)])
      // Whether a token is only added matters where whole words are looked up.
      content.append(description.ignoreMerges && Int(number) >= modelCount ? 1 : 0)
    }
    content.append(merges.count)
    for merge in merges {
      content.append(Int(merge.left))
      content.append(Int(merge.right))
    }
    // In which of two passes a token is looked for matters only where both are made.
    let twoPasses = addedTokens.contains(where: \.normalized) && !addedTokens.allSatisfy(\.normalized)
    content.append(addedTokens.count)
    for token in addedTokens {
      let flags = [token.special, twoPasses && token.normalized, token.lstrip, token.rstrip]
      content.append(Int(token.id))
      for flag in flags { content.append(flag ? 1 : 0) }
    }
    append(description.preTokenizer, to: &content)
    // Most byte-level tokenizers write none, and keep the digest that they have always had.
    if !description.beginning.isEmpty || !description.ending.isEmpty {
      for tokens in [description.beginning, description.ending] {
        content.append(tokens.count)
        for token in tokens { content.append(Int(token)) }
      }
    }
    content.append(description.ignoreMerges ? 1 : 0)
    appendOtherParts(description, to: &content)
    return content.digest()
  }

  /// The forms that byte-level tokenizers nearly always have are written as they have always been.
  private func append(_ preTokenizer: PreTokenizer, to content: inout CanonicalBytes) {
    var steps = preTokenizer.steps[...]
    let addsPrefixSpace = steps.first == .prefixSpace
    if addsPrefixSpace { steps.removeFirst() }
    let isolatesDigits = steps.first == .digits(individual: true)
    if isolatesDigits { steps.removeFirst() }
    switch steps.count == 1 ? steps.first : steps.isEmpty ? .words(.none) : nil {
    case .words(let pattern): content.append("\(pattern)")
    default: content.append(steps.map { "\($0)" }.joined(separator: "\n"))
    }
    content.append(addsPrefixSpace ? 1 : 0)
    content.append(isolatesDigits ? 1 : 0)
  }

  /// What a byte-level tokenizer without a normaliser does not have.
  private func appendOtherParts(_ description: TokenizerDescription, to content: inout CanonicalBytes) {
    var parts: [String] = description.normalizer.steps.map { "\($0)" }
    if description.letters == .characters {
      parts.append("\(description.decoder)")
      parts.append("\(description.byteFallback) \(description.fusesUnknown)")
      if let ranks = description.mergeRanks { parts.append("\(ranks)") }
    }
    if let unknown = description.unknownToken, description.letters == .characters || lacksBytes {
      parts.append("unknown \(unknown) \(description.fusesUnknown)")
    }
    guard !parts.isEmpty else { return }
    content.append(parts.count)
    for part in parts { content.append(part) }
  }

  /// Some byte of UTF-8 has no token.
  private var lacksBytes: Bool {
    ByteAlphabet.points.enumerated().contains { byte, point in
      guard ByteAlphabet.occursInUTF8(byte), let scalar = Unicode.Scalar(point) else { return false }
      return texts.find(String(Character(scalar))).map { $0 >= modelCount } ?? true
    }
  }
}

/// Integers as 8 bytes, strings after their length: collected first, because hashing many small pieces is slow.
private struct CanonicalBytes {
  private var bytes: [UInt8] = []

  mutating func append(_ value: Int) { withUnsafeBytes(of: Int64(value).littleEndian) { bytes += $0 } }

  mutating func append(_ text: String) { append(Array(text.utf8)[...]) }

  mutating func append(_ text: ArraySlice<UInt8>) {
    append(text.count)
    bytes += text
  }

  func digest() -> Digest { bytes.withUnsafeBytes { Digest(of: $0) } }
}
