import Files
import TestSupport

/// All scalars and texts of a folder of event files, read from the formats' descriptions, without the code that wrote them
/// and without minding where a file says that earlier ones are to be forgotten.
struct EventReader {
  /// By tag, in the order of the steps they came in.
  var scalars: [String: [(step: Int, value: Float)]] = [:]
  var texts: [String: [(step: Int, text: String)]] = [:]
  var plugins: [String: String] = [:]

  init(_ folder: String) throws {
    for name in try directoryEntries(folder) where name.contains("tfevents") {
      let bytes = try readFile(folder + "/" + name)
      var cursor = 0
      // Length, its checksum, the event, its checksum; a torn one ends the file.
      while cursor + 16 <= bytes.count {
        let length = (0..<8).reduce(0) { $0 | Int(bytes[cursor + $1]) << (8 * $1) }
        guard length <= bytes.count - cursor - 16 else { break }
        take(Message(bytes[(cursor + 12)..<(cursor + 12 + length)]))
        cursor += length + 16
      }
    }
  }

  private mutating func take(_ event: Message) {
    let step = Int(event.numbers[2]?.first ?? 0)
    for value in event.messages(5).flatMap({ $0.messages(1) }) {
      let tag = value.text(1)
      if let bits = value.numbers[2]?.first {
        scalars[tag, default: []].append((step, Float(bitPattern: UInt32(truncatingIfNeeded: bits))))
      }
      if let tensor = value.messages(8).first, tensor.numbers[1] == [7] {
        texts[tag, default: []].append((step, tensor.text(8)))
      }
      if let plugin = value.messages(9).first?.messages(1).first { plugins[tag] = plugin.text(1) }
    }
  }

  /// A protocol buffers message, its fields by number.
  struct Message {
    var numbers: [Int: [UInt64]] = [:]
    var bytes: [Int: [ArraySlice<UInt8>]] = [:]

    init(_ slice: ArraySlice<UInt8>) {
      var rest = slice
      func varint() -> UInt64 {
        var (value, shift) = (UInt64(0), UInt64(0))
        while let byte = rest.popFirst() {
          value |= UInt64(byte & 127) << shift
          shift += 7
          if byte < 128 { break }
        }
        return value
      }
      func fixed(_ count: Int) -> UInt64 {
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
      }
      while !rest.isEmpty {
        let tag = varint()
        let field = Int(tag >> 3)
        switch tag & 7 {
        case 0: numbers[field, default: []].append(varint())
        case 1: numbers[field, default: []].append(fixed(8))
        case 2:
          let count = Int(varint())
          bytes[field, default: []].append(rest.prefix(count))
          rest = rest.dropFirst(count)
        default: numbers[field, default: []].append(fixed(4))
        }
      }
    }

    func messages(_ field: Int) -> [Message] { bytes[field, default: []].map { Message($0) } }
    func text(_ field: Int) -> String { String(decoding: bytes[field]?.first ?? [], as: UTF8.self) }
  }
}
