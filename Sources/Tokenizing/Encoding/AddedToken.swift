import Core
import JSON

/// A token that is looked for in the text before it is cut into words (`added_tokens` in `tokenizer.json`).
package struct AddedToken: Sendable, Equatable {
  package var id: Int32
  package var content: String
  /// Stands for a control signal: recognised only where that is asked for, left out of decoded text.
  package var special: Bool
  /// Looked for after the others, in what they leave: Hugging Face looks for these in the normalised text.
  package var normalized = false
  /// Takes the white space before it along.
  package var lstrip = false
  /// Takes the white space after it along.
  package var rstrip = false
}

extension AddedToken {
  /// From an entry of `added_tokens` or `added_tokens_decoder`, of which only the first holds its own id.
  init(_ value: JSONValue, id: Int?, file: String) throws {
    guard let content = value["content"]?.string, let id = id.flatMap({ Int32(exactly: $0) }) else {
      throw SFTError(.badData, "an entry of its added tokens lacks its \"content\" or \"id\"", file: file)
    }
    if try value.flag("single_word", default: false, file) {
      throw SFTError(.badData, "\"single_word\" of the added token \"\(content)\" is not supported", file: file)
    }
    self.init(
      id: id, content: content, special: try value.flag("special", default: false, file),
      normalized: try value.flag("normalized", default: true, file),
      lstrip: try value.flag("lstrip", default: false, file),
      rstrip: try value.flag("rstrip", default: false, file))
  }
}
