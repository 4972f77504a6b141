import ArgumentParser
import Core
import Pipeline

/// Options of a training, as the parser is told of them: all that is known of one stands in its `RunOption`.
extension Option {
  init<Parsed: ExpressibleByArgument>(_ option: RunOption, completion: CompletionKind? = nil) where Value == Parsed? {
    self.init(name: .customLong(option.name.rawValue), help: option.argumentHelp, completion: completion)
  }
}

extension Flag where Value == Bool {
  init(wrappedValue: Bool, _ option: RunOption) {
    self.init(wrappedValue: wrappedValue, name: .customLong(option.name.rawValue), help: option.argumentHelp)
  }
}

extension RunOption {
  fileprivate var argumentHelp: ArgumentHelp {
    placeholder.map { .takes($0, help) } ?? ArgumentHelp(stringLiteral: help)
  }
}

extension TrainOptions {
  /// These options. Throws `ValidationError` for a value that an option cannot have, and for an option of adapters beside
  /// --full.
  func checked() throws -> TrainOptions {
    if let fault { throw ValidationError(fault) }
    if full, let option = adaptersOption {
      throw ValidationError(
        "\(option) does not go with \(OptionName.full), which trains all weights instead of an adapter.")
    }
    return self
  }
}
