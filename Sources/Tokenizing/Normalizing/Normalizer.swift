/// What happens to a text before it is cut: steps in order, each over what the one before gave.
struct Normalizer: Sendable, Equatable {
  enum Step: Sendable, Equatable {
    case unicode(UnicodeForm)
    /// Written before every text that is not empty.
    case prepend([UInt8])
    case replace(Replacement)
    case sentencePiece(SentencePieceNormalizer)
  }

  var steps: [Step] = []

  var isEmpty: Bool { steps.isEmpty }

  /// Added tokens are looked for as it writes them; otherwise as they are, in what it writes.
  var appliesToTokens: Bool {
    !steps.contains { if case .sentencePiece = $0 { true } else { false } }
  }

  /// Normalises `text` in place. `isStart` is false of text that continues what came before it, which nothing is
  /// written before.
  func apply(to text: inout [UInt8], isStart: Bool = true) {
    for step in steps {
      switch step {
      case .unicode(let form): UnicodeNormalizer.of(form).normalize(&text)
      case .prepend(let bytes): if isStart, !text.isEmpty { text.insert(contentsOf: bytes, at: 0) }
      case .replace(let replacement): replacement.apply(to: &text)
      case .sentencePiece(let normalizer): normalizer.apply(to: &text, isStart: isStart)
      }
    }
  }

  /// Normalising the parts before and after `at` apart gives what normalising the whole gives.
  func mayCut(_ text: [UInt8], at: Int) -> Bool {
    guard at > 0, at < text.count else { return true }
    return steps.allSatisfy { step in
      switch step {
      case .unicode(let form): UnicodeNormalizer.of(form).startsAnew(text, at)
      case .prepend: true
      case .replace(let replacement): replacement.wanted.count <= 1 || !replacement.spans(text, at)
      // Spaces are written as what stands around them asks.
      case .sentencePiece: false
      }
    }
  }
}

/// A text that another takes the place of.
struct Replacement: Sendable, Equatable {
  var wanted: [UInt8]
  var content: [UInt8]

  func apply(to text: inout [UInt8]) {
    guard let first = wanted.first, text.contains(first) else { return }
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 2)
    text.withUnsafeBufferPointer { text in
      var done = 0
      var at = 0
      while at < text.count {
        guard text[at] == first, matches(text, at) else {
          at += 1
          continue
        }
        result.append(contentsOf: UnsafeBufferPointer(rebasing: text[done..<at]))
        result.append(contentsOf: content)
        at += wanted.count
        done = at
      }
      result.append(contentsOf: UnsafeBufferPointer(rebasing: text[done...]))
    }
    text = result
  }

  private func matches(_ text: UnsafeBufferPointer<UInt8>, _ at: Int) -> Bool {
    guard text.count - at >= wanted.count else { return false }
    for offset in 1..<max(1, wanted.count) where text[at + offset] != wanted[offset] { return false }
    return true
  }

  /// Whether the wanted text may lie across `at`.
  func spans(_ text: [UInt8], _ at: Int) -> Bool {
    (1..<max(1, wanted.count)).contains { before in
      at >= before && text[(at - before)..<at].elementsEqual(wanted[..<before])
        && text[at...].starts(with: wanted[before...])
    }
  }
}
