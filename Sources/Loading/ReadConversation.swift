import Core
import Files
import JSON

/// The conversation of an object that has messages under one of their usual names; nil for every other object. Unlike a
/// record's, it need not have an answer.
///
/// Throws `badData`, without a place, where the messages are none.
public func readConversation(_ object: JSONObject) throws -> Conversation? {
  guard let format = DataFormat(members: Set(object.keys)), format == .messages || format == .sharegpt else {
    return nil
  }
  do throws(RecordFault) {
    return try RecordReader(format: format).conversation(object)
  } catch {
    throw SFTError(.badData, error.message)
  }
}

/// The conversation that a file holds: an object with messages, or a list of them.
public func readConversation(_ file: MappedFile) throws -> Conversation {
  let value = try parseJSON(withoutByteOrderMark(file.bytes), file: file.path)
  let object = value.object ?? JSONObject([("messages", value)])
  do {
    guard let conversation = try readConversation(object), !conversation.turns.isEmpty else {
      throw SFTError(.badData, "holds no messages", advice: "Write {\"messages\": [{\"role\": …, \"content\": …}]}")
    }
    return conversation
  } catch var error as SFTError {
    error.file = file.path
    throw error
  }
}
