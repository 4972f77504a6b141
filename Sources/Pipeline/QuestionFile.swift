import Evaluating
import Files
import Loading

/// The questions of a file or stream. Throws `badData`, saying what it is, where it is no text of questions: a table, a
/// compressed file and the like.
public func readQuestions(_ path: String) throws -> (questions: [Question], file: String) {
  let file = try MappedFile(input: path)
  if let foreign = ForeignFormat(file) { throw foreign.error(file.path) }
  return (try loadQuestions(file, conversation: readConversation, advice: conversionAdvice), file.path)
}
