import Core
import JSON

extension TokenizerJSON {
  mutating func readPreTokenizer(_ value: JSONValue?) throws {
    result.letters = .characters
    result.preTokenizer.steps = []
    guard let value = present(value) else { return }
    let parts = try parts(value, "pre-tokenizer", "pretokenizers")
    for (index, part) in parts.enumerated() {
      let name = try type(of: part, "pre-tokenizer")
      switch name {
      case "ByteLevel":
        // What comes after it would see letters that stand for bytes.
        guard index == parts.count - 1 else { throw unsupported("a pre-tokenizer after \"ByteLevel\"") }
        result.letters = .bytes
        if try part.flag("add_prefix_space", default: true, path) { append(.prefixSpace) }
        if try part.flag("use_regex", default: true, path) { append(.words(.gpt2)) }
      case "Digits": append(.digits(individual: try part.flag("individual_digits", default: false, path)))
      case "Split": append(try split(part).step)
      case "Metaspace": append(.metaspace(try metaspace(part)))
      default: throw unsupported("the pre-tokenizer \"\(name)\"")
      }
    }
  }

  private mutating func append(_ step: PreTokenizer.Step) { result.preTokenizer.steps.append(step) }

  private func split(_ part: JSONValue) throws -> Split {
    let name = part["behavior"]?.string ?? ""
    guard let behavior = Split.Behavior(rawValue: name) else {
      throw unsupported("the pre-tokenizer \"Split\" with the behavior \"\(name)\"")
    }
    let inverted = try part.flag("invert", default: false, path)
    return Split(pattern: try pattern(part["pattern"]), behavior: behavior, inverted: inverted)
  }

  private func pattern(_ value: JSONValue?) throws -> Split.Pattern {
    if let text = value?["String"]?.string { return .text(Array(text.utf8)) }
    guard let regex = value?["Regex"]?.string else {
      throw malformed("its \"Split\" has neither a \"String\" nor a \"Regex\" pattern")
    }
    guard let pattern = WordPattern(regex: regex) else {
      throw unsupported("the pre-tokenizer \"Split\" with the regular expression \(regex)")
    }
    return .regex(pattern)
  }

  /// `Metaspace`, of a pre-tokeniser or decoder, in its newer or older spelling.
  func metaspace(_ part: JSONValue) throws -> Metaspace {
    var result = Metaspace()
    let replacement = try text(part, "replacement", of: "Metaspace").unicodeScalars
    guard replacement.count == 1, let scalar = replacement.first else {
      throw malformed("the \"replacement\" of its \"Metaspace\" is not one character")
    }
    result.replacement = scalar
    if let scheme = present(part["prepend_scheme"]) {
      guard let prefix = scheme.string.flatMap(Metaspace.Prefix.init) else {
        throw malformed("the \"prepend_scheme\" of its \"Metaspace\" is not always, first or never")
      }
      result.prefix = prefix
    }
    if try !part.flag("add_prefix_space", default: true, path) {
      guard present(part["prepend_scheme"]) == nil || result.prefix == .never else {
        throw malformed("the \"prepend_scheme\" of its \"Metaspace\" contradicts its \"add_prefix_space\"")
      }
      result.prefix = .never
    }
    result.splits = try part.flag("split", default: true, path)
    return result
  }
}
