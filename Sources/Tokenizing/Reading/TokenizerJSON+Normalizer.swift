import Core
import JSON

extension TokenizerJSON {
  mutating func readNormalizer(_ value: JSONValue?) throws {
    guard let value = present(value) else { return }
    result.normalizer.steps = try parts(value, "normalizer", "normalizers").map { part in
      let name = try type(of: part, "normalizer")
      if let form = UnicodeForm(rawValue: name) { return .unicode(form) }
      switch name {
      case "Prepend": return .prepend(Array(try text(part, "prepend", of: name).utf8))
      case "Replace": return .replace(try replacement(part, "normalizer"))
      default: throw unsupported("the normalizer \"\(name)\"")
      }
    }
  }

  /// A `Replace`, of a normaliser or decoder.
  func replacement(_ part: JSONValue, _ what: String) throws -> Replacement {
    guard let wanted = part["pattern"]?["String"]?.string else {
      throw unsupported("the \(what) \"Replace\" without a \"String\" pattern")
    }
    return Replacement(wanted: Array(wanted.utf8), content: Array(try text(part, "content", of: "Replace").utf8))
  }

  func text(_ part: JSONValue, _ key: String, of name: String) throws -> String {
    guard let text = part[key]?.string else { throw malformed("its \"\(name)\" has no \"\(key)\"") }
    return text
  }
}
