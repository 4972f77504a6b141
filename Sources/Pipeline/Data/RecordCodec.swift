import Core

/// Conversations as bytes, one after the other: numbers as 32-bit integers, then the texts whose lengths they hold.
enum RecordCodec {
  static func encode(_ records: [Conversation]) -> [UInt8] {
    var bytes: [UInt8] = []
    // No array of numbers: records are many and short.
    func append(_ number: Int) {
      withUnsafeBytes(of: UInt32(number).littleEndian) { bytes.append(contentsOf: $0) }
    }
    for record in records {
      append(record.file)
      append(record.line)
      append(Int(record.form.rawValue))
      append(record.tools.utf8.count)
      append(record.turns.count)
      bytes.append(contentsOf: record.tools.utf8)
      for turn in record.turns {
        let content = turn.content ?? ""
        append((turn.content == nil ? 0 : 1) | (turn.isExcluded ? 2 : 0))
        append(turn.role.utf8.count)
        append(content.utf8.count)
        append(turn.input.utf8.count)
        append(turn.members.utf8.count)
        bytes.append(contentsOf: turn.role.utf8)
        bytes.append(contentsOf: content.utf8)
        bytes.append(contentsOf: turn.input.utf8)
        bytes.append(contentsOf: turn.members.utf8)
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
      let (file, line, formNumber) = (try number(), try number(), try number())
      guard let form = UInt8(exactly: formNumber).flatMap(Conversation.Form.init) else { throw damaged }
      let (toolsLength, count) = (try number(), try number())
      let tools = try text(toolsLength)
      var turns: [Conversation.Turn] = []
      // A turn has five numbers at least.
      turns.reserveCapacity(min(count, (raw.count - cursor) / 20))
      for _ in 0..<count { turns.append(try turn()) }
      return Conversation(form: form, turns: turns, tools: tools, file: file, line: line)
    }

    private mutating func turn() throws -> Conversation.Turn {
      let flags = try number()
      let (role, content, input, members) = (try number(), try number(), try number(), try number())
      var turn = Conversation.Turn(role: try text(role), content: try text(content), isExcluded: flags & 2 != 0)
      if flags & 1 == 0 { turn.content = nil }
      (turn.input, turn.members) = (try text(input), try text(members))
      return turn
    }

    private mutating func number() throws -> Int {
      guard raw.count - cursor >= 4 else { throw damaged }
      defer { cursor += 4 }
      return Int(UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: cursor, as: UInt32.self)))
    }

    private mutating func text(_ length: Int) throws -> String {
      guard raw.count - cursor >= length else { throw damaged }
      defer { cursor += length }
      return String(decoding: UnsafeRawBufferPointer(rebasing: raw[cursor..<cursor + length]), as: UTF8.self)
    }
  }
}
