import ArgumentParser
import Core
import Glibc

/// Why a command did not do what it was asked for, as it is told: to a person in a line or two on standard error, with
/// `--json` to a program as a value on standard output, and to a script by an exit code.
struct Failure {
  private let error: SFTError
  /// Whose help says what could have been typed; nil where that was not the matter.
  private let command: String?

  init(_ error: any Error, _ typed: TypedArguments) {
    if let error = error as? SFTError {
      (self.error, command) = (error, nil)
    } else if SFT.exitCode(for: error) == .validationFailure {
      // The parser's, and what a command's validate() threw.
      let message = SFT.message(for: error).split(whereSeparator: \.isNewline).joined(separator: " ")
      (self.error, command) = (SFTError(.usage, message), typed.commandName)
    } else {
      (self.error, command) = (SFTError(.internalError, SFT.message(for: error)), nil)
    }
  }

  var code: Int32 { error.kind == .interrupted ? Interrupt.exitCode : error.kind.rawValue }

  /// A stop that the user asked for is no error.
  var text: String {
    guard let command else { return (error.kind == .interrupted ? "" : "error: ") + printable("\(error)") + "\n" }
    return "error: \(printable(error.message))\nSee `\(command) --help`.\n"
  }

  private struct Report: Encodable {
    struct Details: Encodable {
      var code: Int32
      var message: String
      var file: String?
      var line: Int?
      var advice: String?
    }
    var error: Details
  }

  /// Ends the process. `asJSON`: tells it on standard output too, unless the one value is there already.
  func exit(asJSON: Bool) -> Never {
    Terminal.write(Terminal.fitted(text))
    if asJSON, !Terminal.hasPrintedJSON {
      try? Terminal.printJSON(
        Report(
          error: Report.Details(
            code: code, message: error.message, file: error.file, line: error.line, advice: error.advice)))
    }
    fflush(nil)
    Ranks.end(code: code)
    Glibc.exit(code)
  }
}
