import Core
import Files

/// The content of a data file as text: decompressed where it is compressed with gzip or zstd, and the rows of a table
/// (Parquet, CSV, TSV) as JSON Lines, row by row or line by line; anything else is `file` itself. What is made lies in
/// a temporary file.
///
/// `isColumn` knows a table of text by the names of its columns, where the file's name does not tell. `bad` gets what
/// is wrong with single rows; what it throws ends the reading.
///
/// Throws `badData` where the file is damaged, or has what is not read.
public func unpacked(
  _ file: MappedFile, isColumn: (String) -> Bool, bad: (SFTError) throws -> Void
) throws -> MappedFile {
  let content = try Compression(file.bytes).map { try $0.decompress(file) } ?? file
  if ParquetTable.isMarked(content.bytes) { return try ParquetTable(content).jsonLines() }
  if let table = CSVTable(content, isColumn: isColumn) { return try table.jsonLines(bad: bad) }
  return content
}
