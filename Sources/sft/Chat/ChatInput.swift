import Core
import Pipeline

/// What a line asks for: a message to answer, or a command.
package enum ChatInput: Equatable {
  case message(String)
  case help
  case reset
  /// nil for none.
  case system(String?)
  case side(Dialogue.Side)
  case quit

  static let list = """
    /help         this list
    /reset        forget the conversation, but not what the system says
    /system TEXT  what the system says before it; without TEXT nothing
    /base         go on with the base
    /tuned        go on with what was trained
    /quit         end, as Ctrl-D does

    A message that begins with / is written with //. Ctrl-C ends an answer. At a terminal Alt-Enter breaks the line, and
    up and down bring back what was typed.

    """

  /// nil for a line with nothing on it.
  ///
  /// Throws `usage` for a command that is not there or takes no text.
  package init?(_ line: String) throws {
    guard line.contains(where: { !$0.isWhitespace }) else { return nil }
    guard line.hasPrefix("/"), !line.hasPrefix("//") else {
      self = .message(line.hasPrefix("//") ? String(line.dropFirst()) : line)
      return
    }
    let name = String(line.prefix { !$0.isWhitespace })
    let text = String(line.dropFirst(name.count).drop(while: \.isWhitespace))
    let commands: [String: ChatInput] = [
      "/help": .help, "/reset": .reset, "/base": .side(.base), "/tuned": .side(.tuned), "/quit": .quit,
    ]
    if name == "/system" {
      self = .system(text.isEmpty ? nil : text)
    } else if let command = commands[name] {
      guard text.isEmpty else { throw SFTError(.usage, "\(name) takes no text") }
      self = command
    } else {
      throw SFTError(
        .usage, "there is no command \(name.prefix(40))",
        advice: "/help lists them, and a message that begins with / is written with //")
    }
  }
}
