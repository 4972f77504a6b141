import Core

/// Conversations as bytes, one after the other: numbers as 32-bit integers, then the texts whose lengths they hold.
enum RecordCodec {
  static func encode(_ records: [Conversation]) -> [UInt8] {
    var bytes: [UInt8] = []
    func append(_ numbers: [Int]) {
      for number in numbers { withUnsafeBytes(of: UInt32(number).littleEndian) { bytes.append(contentsOf: $0) } }
    }
    for record in records {
      append([record.file, record.line, Int(record.form.rawValue), record.tools.utf8.count, record.turns.count])
      bytes.append(contentsOf: record.tools.utf8)
      for turn in record.turns {
        let texts = [turn.role, turn.content ?? "", turn.input, turn.members]
        append([(turn.content == nil ? 0 : 1) | (turn.isExcluded ? 2 : 0)] + texts.map(\.utf8.count))
        for text in texts { bytes.append(contentsOf: text.utf8) }
      }
    }
    return bytes
  }

  /// Throws `badData` with `file` for what `encode` does not make.
  static func decode(_ bytes: [UInt8], file: String) throws -> [Conversation] {
    try bytes.withUnsafeBytes { raw in
      var reader = Reader(raw: raw, file: file)
      var records: [Conversation] = []
      while !reader.isAtEnd { records.append(try reader.conversation()) }
      return records
    }
  }

  private struct Reader {
    let raw: UnsafeRawBufferPointer
    let file: String
    var cursor = 0

    init(raw: UnsafeRawBufferPointer, file: String) { (self.raw, self.file) = (raw, file) }

    var isAtEnd: Bool { cursor == raw.count }

    private var damaged: SFTError { SFTError(.badData, "a record in it is damaged", file: file) }

    mutating func conversation() throws -> Conversation {
      let head = try numbers(5)
      guard let form = Conversation.Form(rawValue: UInt8(truncatingIfNeeded: head[2])), head[2] < 256 else {
        throw damaged
      }
      let tools = try text(head[3])
      var turns: [Conversation.Turn] = []
      for _ in 0..<head[4] {
        let lengths = try numbers(5)
        let (role, content) = (try text(lengths[1]), try text(lengths[2]))
        turns.append(
          Conversation.Turn(
            role: role, content: lengths[0] & 1 == 0 ? nil : content, input: try text(lengths[3]),
            members: try text(lengths[4]), isExcluded: lengths[0] & 2 != 0))
      }
      return Conversation(form: form, turns: turns, tools: tools, file: head[0], line: head[1])
    }

    private mutating func numbers(_ count: Int) throws -> [Int] {
      guard raw.count - cursor >= 4 * count else { throw damaged }
      defer { cursor += 4 * count }
      return (0..<count).map {
        Int(UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: cursor + 4 * $0, as: UInt32.self)))
      }
    }

    private mutating func text(_ length: Int) throws -> String {
      guard raw.count - cursor >= length else { throw damaged }
      defer { cursor += length }
      return String(decoding: UnsafeRawBufferPointer(rebasing: raw[cursor..<cursor + length]), as: UTF8.self)
    }
  }
}
