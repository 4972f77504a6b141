import Core
import Files
import JSON

/// A part of a file that is parsed at once: whole lines of JSON Lines, or whole elements of an array.
struct Chunk: Sendable {
  var range: Range<Int>
  /// The array's elements in `range`; nil for JSON Lines, whose lines are found when they are parsed.
  var elements: [Range<Int>]?
}

/// What a chunk holds. Lines are relative: 0 is the line on which the chunk starts.
struct ChunkResult: Sendable {
  var records: [Conversation] = []
  /// Line feeds in the chunk.
  var lines = 0
  var skippedBad: [SFTError] = []
  var skippedBadCount = 0
  var droppedWithInput = 0
  /// The error at which parsing stopped; `records` are those before it.
  var failure: SFTError?
}

/// Chunk → records. A function of the bytes alone, so chunks may be parsed on any thread.
struct ChunkParser: ~Copyable {
  private let file: MappedFile
  private let fileIndex: Int
  private let options: LoadingOptions
  private let format: DataFormat
  private let reader: FieldReader
  private var result = ChunkResult()

  init(file: MappedFile, fileIndex: Int, format: DataFormat, options: LoadingOptions) throws {
    self.file = file
    self.fileIndex = fileIndex
    self.options = options
    self.format = format
    let names = ["instruction", "input", "output", "system", "system_prompt", "history"]
    reader = try FieldReader(names.map(options.columns.column))
  }

  consuming func parse(_ chunk: Chunk) -> ChunkResult {
    if let elements = chunk.elements {
      parseElements(elements, of: chunk.range)
    } else {
      parseLines(chunk.range)
    }
    return result
  }

  private mutating func parseLines(_ range: Range<Int>) {
    var start = range.lowerBound
    while start < range.upperBound, result.failure == nil {
      let rest = UnsafeRawBufferPointer(rebasing: file.bytes[start..<range.upperBound])
      let length = offsetOfLineFeed(rest) ?? rest.count
      parse(UnsafeRawBufferPointer(rebasing: rest[..<length]), isLine: true)
      start += length + 1
      if length < rest.count { result.lines += 1 }
    }
  }

  private mutating func parseElements(_ elements: [Range<Int>], of range: Range<Int>) {
    var counted = range.lowerBound
    for element in elements {
      result.lines += countLines(UnsafeRawBufferPointer(rebasing: file.bytes[counted..<element.lowerBound]))
      counted = element.lowerBound
      parse(UnsafeRawBufferPointer(rebasing: file.bytes[element]), isLine: false)
      if result.failure != nil { return }
    }
    result.lines += countLines(UnsafeRawBufferPointer(rebasing: file.bytes[counted..<range.upperBound]))
  }

  /// One record, or a blank line.
  private mutating func parse(_ text: UnsafeRawBufferPointer, isLine: Bool) {
    var scanner = JSONScanner(text)
    scanner.skipSpace()
    if scanner.peek == nil { return }
    do {
      let record = try record(text, &scanner, isLine: isLine)
      if options.onlyEmptyInput, record.turns.contains(where: { !$0.input.isEmpty }) {
        result.droppedWithInput += 1
      } else {
        result.records.append(record)
      }
    } catch {
      let error = error as? SFTError ?? SFTError(.internalError, "\(error)", file: file.path, line: result.lines)
      guard options.skipBad, error.kind == .badData else {
        result.failure = error
        return
      }
      result.skippedBadCount += 1
      if result.skippedBad.count < LoadingReport.listedLimit { result.skippedBad.append(error) }
    }
  }

  private func record(
    _ text: UnsafeRawBufferPointer, _ scanner: inout JSONScanner, isLine: Bool
  ) throws -> Conversation {
    let range: Range<Int>
    do {
      range = try scanner.scanDocument()
    } catch {
      var located = error.located(in: text, file: file.path, firstLine: result.lines, startsLine: isLine)
      if isLine, scanner.peek == nil { located.advice = "Write each record on one line, or all as a JSON array" }
      throw located
    }
    guard text[range.lowerBound] == UInt8(ascii: "{") else {
      let kind = try parseJSON(text, file: file.path, firstLine: result.lines).kind
      throw bad("a record must be a JSON object, but here is \(kind)")
    }
    let object = UnsafeRawBufferPointer(rebasing: text[range])
    var record = try alpacaRecord(object, text, memberCount: scanner.memberCount) ?? conversation(object, text, isLine)
    (record.file, record.line) = (fileIndex, result.lines)
    return record
  }

  /// The quick way for what nearly all Alpaca records are; nil for every other record, sound or not.
  private func alpacaRecord(
    _ object: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, memberCount: Int
  ) throws -> Conversation? {
    guard format == .alpaca else { return nil }
    guard let fields = try reader.read(object, memberCount: memberCount) else {
      throw duplicateKey(in: text, file: file.path, firstLine: result.lines)
    }
    guard case .text(let instruction) = fields[0], case .text(let output) = fields[2], !isBlank(output),
      fields[3...].allSatisfy({ $0 == .missing || $0 == .null })
    else { return nil }
    switch fields[1] {
    case .text(let input):
      if isBlank(instruction), isBlank(input) { return nil }
      return Conversation(Record(instruction: instruction, input: input, output: output))
    case .missing, .null:
      return isBlank(instruction) ? nil : Conversation(Record(instruction: instruction, input: "", output: output))
    case .other: return nil
    }
  }

  private func conversation(
    _ object: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, _ isLine: Bool
  ) throws -> Conversation {
    // All of the text, so that an error's line is right.
    guard let members = try parseJSON(text, file: file.path, firstLine: result.lines).object else {
      throw SFTError(.internalError, "an object is none", file: file.path, line: result.lines)
    }
    do throws(RecordFault) {
      let conversation = try RecordReader(format: format).conversation(options.columns.renamed(members))
      guard conversation.turns.contains(where: { $0.role == Role.assistant }) else {
        throw RecordFault("the record has no message of the assistant, so there is nothing to learn from it")
      }
      return conversation
    } catch {
      var found = bad(error.message)
      // A field that is missing may have another name.
      if format == .alpaca, members["instruction"] == nil || members["output"] == nil, options.columns.isEmpty,
        let other = MissingField(object)
      {
        found.message += other.fields
        found.advice = other.advice
      }
      throw found
    }
  }

  private func bad(_ message: String) -> SFTError {
    SFTError(.badData, message, file: file.path, line: result.lines)
  }
}
