import Evaluating
import Files

/// The questions of a file or stream, and how messages name it.
public func readQuestions(_ path: String) throws -> (questions: [Question], file: String) {
  let file = try MappedFile(input: path)
  return (try loadQuestions(file), file.path)
}
