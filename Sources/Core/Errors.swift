/// An error that a user sees: what went wrong, where, and what to do; and the exit code a script sees.
public struct SFTError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What kind of failure it is; the raw value is the process's exit code (BSD `sysexits.h`, and 128 + SIGINT).
  public enum Kind: Int32, Sendable {
    case usage = 64
    case badData = 65
    case notFound = 66
    case internalError = 70
    case cannotCreate = 73
    case inputOutput = 74
    case interrupted = 130
  }

  public var kind: Kind
  /// One sentence, without the place and without a full stop at its end.
  public var message: String
  /// The file it is about, when there is one.
  public var file: String?
  /// 1-based line in `file`.
  public var line: Int?
  /// What the user can do, one sentence without a full stop at its end.
  public var advice: String?

  public init(_ kind: Kind, _ message: String, file: String? = nil, line: Int? = nil, advice: String? = nil) {
    self.kind = kind
    self.message = message
    self.file = file
    self.line = line
    self.advice = advice
  }

  /// `FILE:LINE: message. Advice.`
  public var description: String {
    var text = ""
    if let file { text += line.map { "\(file):\($0): " } ?? "\(file): " }
    text += message + "."
    if let advice { text += " " + advice + "." }
    return text
  }
}
