import Core
import Files
import Formats

/// Reads records of any `DataFormat` from JSON Lines (an object a line), JSON arrays of objects, CSV, TSV and Parquet,
/// all of them perhaps compressed with gzip or zstd; which of these a file is is seen by its content (of CSV by its
/// name, too), and its format by the members of its first records, unless `options` names it. Of Parquet a line is a
/// row.
///
/// A record has something to learn: an answer that is not empty, or a message of the assistant. In the Alpaca form a
/// missing or null input is an empty one, instruction and input are not both empty, and other members are ignored. Files
/// are UTF-8, with or without a byte order mark.
///
/// `consume` is given the records in the order of the files, batch by batch, while the files are read: memory is
/// bounded by the batches, whatever the length of the files. What is wrong with a file is an `SFTError` of kind
/// `badData` that names file and line, thrown when all records before it have been consumed; with `skipBad` a bad
/// record is counted instead, but an array is given up where the end of an element cannot be told. A file without
/// records is an error, and so is it when none is left of all files.
public func loadRecords(
  from files: [MappedFile], options: LoadingOptions = LoadingOptions(), _ consume: ([Conversation]) throws -> Void
) throws -> LoadingReport {
  var report = LoadingReport()
  for (index, file) in files.enumerated() {
    try loadFile(file, index: index, options: options, into: &report, consume)
  }
  guard report.records > 0 else { throw nothingLeft(files, report) }
  return report
}

private func loadFile(
  _ file: MappedFile, index: Int, options: LoadingOptions, into report: inout LoadingReport,
  _ consume: ([Conversation]) throws -> Void
) throws {
  var hasBadRows = false
  let file = try readable(file, columns: options.columns) { fault in
    guard options.skipBad else { throw fault }
    hasBadRows = true
    report.skippedBadCount += 1
    if report.skippedBad.count < LoadingReport.listedLimit { report.skippedBad.append(fault) }
  }
  // Where all rows of a table are bad there is nothing to split.
  if hasBadRows, file.bytes.allSatisfy({ $0 == UInt8(ascii: "\n") }) {
    report.formats.append(options.format ?? .alpaca)
    return
  }
  var splitter = try Splitter(file, chunkBytes: max(1, options.chunkBytes), columns: options.columns)
  // Where its members tell nothing, what is missing is said of the usual one.
  let found = try DataFormat(of: file, options.columns)
  let format = options.format ?? found ?? .alpaca
  report.formats.append(format)
  /// Line on which the next chunk starts.
  var line = 1
  var isEmpty = !hasBadRows
  while true {
    let (chunks, failure) = wave(&splitter, threads: options.threads)
    let results = try parallelMap(chunks, threads: options.threads) { chunk in
      try ChunkParser(file: file, fileIndex: index, format: format, options: options).parse(chunk)
    }
    for var result in results {
      isEmpty = isEmpty && result.records.isEmpty && result.skippedBadCount + result.droppedWithInput == 0
      result.shiftLines(by: line)
      line += result.lines
      report.add(result)
      if !result.records.isEmpty { try consume(result.records) }
      if let failure = result.failure { throw failure }
    }
    if let failure { throw failure }
    guard let first = chunks.first, let last = chunks.last else { break }
    file.advise(first.range.lowerBound..<last.range.upperBound, .dontNeed)
  }
  if isEmpty { throw SFTError(.badData, "holds no records", file: file.path) }
}

/// A file's content as JSON or text. `bad` gets rows of a table that are no records; what it throws ends the reading.
func readable(
  _ file: MappedFile, columns: ColumnNames = ColumnNames(), bad: (SFTError) throws -> Void
) throws -> MappedFile {
  let named = Set(columns.columns.values)
  return try unpacked(file, isColumn: { named.contains($0) || FieldNames.isColumn($0) }, bad: bad)
}

/// A file's content as JSON or text, for what is read otherwise than as records. Throws `badData` where it is damaged.
public func readable(_ file: MappedFile) throws -> MappedFile { try readable(file) { throw $0 } }

/// The next few chunks for every thread, and the error after them if one follows.
private func wave(_ splitter: inout Splitter, threads: Int) -> (chunks: [Chunk], failure: (any Error)?) {
  var chunks: [Chunk] = []
  do {
    while chunks.count < 4 * max(1, threads), let chunk = try splitter.next() { chunks.append(chunk) }
  } catch {
    return (chunks, error)
  }
  return (chunks, nil)
}

private func nothingLeft(_ files: [MappedFile], _ report: LoadingReport) -> SFTError {
  guard let file = files.first else { return SFTError(.usage, "there is no file to read records from") }
  let reasons =
    "\(grouped(report.skippedBadCount)) were bad and \(grouped(report.droppedWithInput)) have an input"
  return SFTError(
    .badData, "no record is left: \(reasons)", file: file.path, advice: report.skippedBad.first?.advice)
}

extension ChunkResult {
  /// Turns lines relative to the chunk into lines of the file.
  fileprivate mutating func shiftLines(by line: Int) {
    for index in records.indices { records[index].line += line }
    for index in skippedBad.indices { skippedBad[index].shiftLine(by: line) }
    failure?.shiftLine(by: line)
  }
}

extension SFTError {
  fileprivate mutating func shiftLine(by lines: Int) { line = line.map { $0 + lines } }
}

extension LoadingReport {
  fileprivate mutating func add(_ result: ChunkResult) {
    records += result.records.count
    droppedWithInput += result.droppedWithInput
    skippedBadCount += result.skippedBadCount
    skippedBad += result.skippedBad.prefix(Self.listedLimit - skippedBad.count)
  }
}
