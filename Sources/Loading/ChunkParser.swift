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
  var records: [Record] = []
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
  private let reader: FieldReader
  private var result = ChunkResult()

  init(file: MappedFile, fileIndex: Int, options: LoadingOptions) throws {
    self.file = file
    self.fileIndex = fileIndex
    self.options = options
    reader = try FieldReader(["instruction", "input", "output"])
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
      if options.onlyEmptyInput, !record.input.isEmpty {
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
  ) throws -> Record {
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
    guard let fields = try reader.read(object, memberCount: scanner.memberCount) else {
      throw duplicateKey(in: text, file: file.path, firstLine: result.lines)
    }
    do {
      return try record(fields)
    } catch var error {
      // A field that is missing may have another name.
      if fields[0] == .missing || fields[2] == .missing, let other = MissingField(object) {
        error.message += other.fields
        error.advice = other.advice(isElement: !isLine)
      }
      throw error
    }
  }

  private func record(_ fields: [FieldReader.Field]) throws(SFTError) -> Record {
    let instruction = try required(fields[0], "instruction")
    var input = ""
    switch fields[1] {
    case .missing, .null: break
    default: input = try required(fields[1], "input")
    }
    let output = try required(fields[2], "output")
    if isBlank(output) { throw bad("\"output\" is empty, so there is nothing to learn from this record") }
    if isBlank(instruction), isBlank(input) { throw bad("\"instruction\" and \"input\" are both empty") }
    return Record(instruction: instruction, input: input, output: output, file: fileIndex, line: result.lines)
  }

  private func required(_ field: FieldReader.Field, _ name: String) throws(SFTError) -> String {
    switch field {
    case .text(let text): return text
    case .missing: throw bad("the record has no \"\(name)\"")
    case .null: throw bad("\"\(name)\" must be a string, but is null")
    case .other(let kind): throw bad("\"\(name)\" must be a string, but is \(kind)")
    }
  }

  private func bad(_ message: String) -> SFTError {
    SFTError(.badData, message, file: file.path, line: result.lines)
  }
}

/// Nothing but white space; nearly always decided by the first byte.
private func isBlank(_ text: String) -> Bool {
  text.unicodeScalars.allSatisfy { scalar in
    scalar.isASCII ? scalar == " " || (0x09...0x0d).contains(scalar.value) : scalar.properties.isWhitespace
  }
}
