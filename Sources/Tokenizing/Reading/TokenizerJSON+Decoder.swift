import Core
import JSON

extension TokenizerJSON {
  mutating func readDecoder(_ value: JSONValue?) throws {
    guard let value = present(value) else { throw unsupported("a tokenizer without a decoder") }
    let parts = try parts(value, "decoder", "decoders")
    let names = try parts.map { try type(of: $0, "decoder") }
    if names == ["ByteLevel"], result.letters == .bytes { return }
    guard result.letters == .characters else {
      throw unsupported("the decoder \"\(names.joined(separator: ", "))\" of byte-level tokens")
    }
    var steps: [DecoderStep] = []
    for (name, part) in zip(names, parts) { steps.append(try step(name, part, isFused: steps.contains(.fuse))) }
    result.decoder = .steps(steps)
  }

  private func step(_ name: String, _ part: JSONValue, isFused: Bool) throws -> DecoderStep {
    switch name {
    case "ByteFallback": return .byteFallback
    case "Fuse": return .fuse
    case "Strip": return try strip(part)
    case "Metaspace": return .metaspace(try metaspace(part))
    case "Replace":
      let replacement = try replacement(part, "decoder")
      // One character is found in fragments of a text too.
      guard !isFused || String(decoding: replacement.wanted, as: UTF8.self).unicodeScalars.count == 1 else {
        throw unsupported("the decoder \"Replace\" of several characters after \"Fuse\"")
      }
      return .replace(replacement)
    default: throw unsupported("the decoder \"\(name)\"")
    }
  }

  private func strip(_ part: JSONValue) throws -> DecoderStep {
    let content = try text(part, "content", of: "Strip")
    guard content.unicodeScalars.count == 1, let start = part["start"]?.int, let stop = part["stop"]?.int,
      (0...4096).contains(start), (0...4096).contains(stop)
    else { throw malformed("its decoder \"Strip\" is not of one character and two counts") }
    return .strip(content: Array(content.utf8), start: start, stop: stop)
  }
}
