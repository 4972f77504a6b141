import Core

extension TokenizerModel {
  /// Calls `body` with a token, unless it is special and those are to be skipped.
  ///
  /// Throws `.badData` for an id that is not in the vocabulary.
  func visit(_ id: Int32, skipSpecialTokens: Bool, _ body: (ArraySlice<UInt8>) -> Void) throws {
    let known: Void? = withToken(id) { token in
      if !(skipSpecialTokens && skippedIDs.contains(id)) { body(token) }
    }
    guard known != nil else {
      throw SFTError(.badData, "the token id \(id) is not in the vocabulary of \(idCount) tokens")
    }
  }
}

/// Turns ids into text as they come, without ever giving half a character.
///
/// What `push` returned and `finish` returns, one after the other, is what `Tokenizer.decode` gives for all ids.
public struct StreamingDecoder: Sendable {
  private let model: TokenizerModel
  private let skipSpecialTokens: Bool
  /// The beginning of a character whose other bytes have not come: at most three bytes. Of tokens that are bytes.
  private var pending: [UInt8] = []
  /// Of tokens that are text.
  private var chain: DecoderChain?

  init(_ model: TokenizerModel, skipSpecialTokens: Bool) {
    self.model = model
    self.skipSpecialTokens = skipSpecialTokens
    chain = model.makeDecoderChain()
  }

  /// Takes the next id and returns the characters that are now certain, perhaps none.
  ///
  /// Throws `.badData` for an id that is not in the vocabulary, which is then as if never pushed.
  public mutating func push(_ id: Int32) throws -> String {
    var token: [UInt8]?
    try model.visit(id, skipSpecialTokens: skipSpecialTokens) { token = Array($0) }
    guard let token else { return "" }
    if chain != nil {
      var text: [UInt8] = []
      chain?.push(token, into: &text)
      return String(decoding: text, as: UTF8.self)
    }
    pending += token
    let complete = pending.count - incompleteSuffix(pending)
    let text = String(decoding: pending[..<complete], as: UTF8.self)
    pending.removeFirst(complete)
    return text
  }

  /// Ends the text: what was left incomplete becomes U+FFFD. The decoder can be used anew.
  public mutating func finish() -> String {
    defer {
      pending.removeAll()
      chain = model.makeDecoderChain()
    }
    chain?.finish(into: &pending)
    return String(decoding: pending, as: UTF8.self)
  }
}

/// How many bytes at the end of `bytes` begin a character that more bytes could complete.
private func incompleteSuffix(_ bytes: [UInt8]) -> Int {
  for length in 1...3 where length <= bytes.count {
    let lead = bytes[bytes.count - length]
    if lead & 0xc0 == 0x80 { continue }
    // Bytes that a character with this lead has, and what its second byte may be (Unicode, table 3-7).
    let (needed, second): (Int, ClosedRange<UInt8>) =
      switch lead {
      case 0xc2...0xdf: (2, 0x80...0xbf)
      case 0xe0: (3, 0xa0...0xbf)
      case 0xed: (3, 0x80...0x9f)
      case 0xe1...0xef: (3, 0x80...0xbf)
      case 0xf0: (4, 0x90...0xbf)
      case 0xf4: (4, 0x80...0x8f)
      case 0xf1...0xf3: (4, 0x80...0xbf)
      default: (1, 0x80...0xbf)
      }
    if length >= needed { return 0 }
    return length == 1 || second.contains(bytes[bytes.count - length + 1]) ? length : 0
  }
  return 0
}
