import Evaluating
import Files
import Loading

/// The questions of a file or stream, which may be a table (CSV, TSV, Parquet) or compressed with gzip or zstd. Throws
/// `badData`, saying what it is, where it holds no questions.
public func readQuestions(_ path: String) throws -> (questions: [Question], file: String) {
  let file = try readable(try MappedFile(input: path))
  if let foreign = ForeignFormat(file) { throw foreign.error(file.path) }
  return (try loadQuestions(file, conversation: readConversation, advice: conversionAdvice), file.path)
}
