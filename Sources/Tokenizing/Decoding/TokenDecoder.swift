/// How tokens become text.
enum TokenDecoder: Sendable, Equatable {
  /// Tokens are written in `ByteAlphabet`; their bytes, one after the other, are the text.
  case byteLevel
  /// Each step over the list of tokens that the one before gives; what the last one gives, joined, is the text.
  case steps([DecoderStep])

  /// The bytes that a token stands for, wherever in a text it is.
  func bytes(of token: ArraySlice<UInt8>) -> [UInt8] {
    guard case .steps(let steps) = self else { return Array(token) }
    var bytes = Array(token)
    for step in steps {
      switch step {
      case .replace(let replacement): replacement.apply(to: &bytes)
      case .metaspace(let metaspace): bytes = metaspace.decoded(bytes, isFirst: false)
      case .byteFallback: if let byte = fallbackByte(bytes) { return [byte] }
      case .fuse, .strip: break
      }
    }
    return bytes
  }
}

enum DecoderStep: Sendable, Equatable {
  case replace(Replacement)
  /// Runs of tokens like `<0x41>` become the text that they are in UTF-8, or U+FFFD for each of them where they are not.
  case byteFallback
  /// All tokens become one.
  case fuse
  /// From each token at most `start` characters at the beginning and `stop` at the end.
  case strip(content: [UInt8], start: Int, stop: Int)
  case metaspace(Metaspace)
}

extension Metaspace {
  /// The first token loses its signs for spaces, where one was written before the text.
  func decoded(_ token: [UInt8], isFirst: Bool) -> [UInt8] {
    var token = token
    let content: [UInt8] = isFirst && prefix != .never ? [] : [0x20]
    Replacement(wanted: Array(String(Character(replacement)).utf8), content: content).apply(to: &token)
    return token
  }
}

/// The byte of a token written like `<0x41>`.
func fallbackByte(_ token: [UInt8]) -> UInt8? {
  guard token.count == 6, token.starts(with: "<0x".utf8), token[5] == UInt8(ascii: ">") else { return nil }
  return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
}
