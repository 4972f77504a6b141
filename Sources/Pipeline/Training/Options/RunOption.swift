import Core
import JSON

/// An option of a training, declared once: how it is typed and explained, what it may be, whether a resumed run may be
/// given another, and how a run that has it is shown. All of them are `RunOption.all`.
public struct RunOption: Sendable {
  public let name: OptionName
  /// What stands for the value in the help; nil for a flag.
  public let placeholder: String?
  public let help: String
  /// Whether it is an adapter's alone, so that it has no meaning where all weights are trained.
  public let isAdapters: Bool
  let role: Role
  /// What TensorBoard's table of runs calls it.
  let parameter: String
  /// Where a run's `config.json` has it, as in `settings.lora.rank`, and what people are told that this is.
  let shown: [(key: String, title: String)]

  /// Whether a resumed run must have what the run was started with.
  public let isFixed: Bool

  let isGiven: @Sendable (TrainOptions) -> Bool
  /// What is wrong with the value that was given, in a sentence; nil where nothing is.
  let fault: @Sendable (TrainOptions) -> String?
  /// What a resumed run cannot take, as in `--seed 7 (it was 42)`; nil where it is given nothing new.
  let change: @Sendable (TrainOptions, RunConfiguration, Workspace) throws -> String?
  /// What the run has; nil where that is nothing, or where the run records nothing of it.
  let recorded: @Sendable (RunConfiguration) -> JSONValue?

  enum Role: Sendable {
    /// Each update depends on the option, so that a learning rate found without it would be another's.
    case update
    /// Only the run as a whole depends on the option, not an update at a given rate.
    case schedule
    /// Only the last bits of what is learnt depend on the option.
    case computing
    /// Nothing that is learnt depends on the option.
    case keeping
  }

  /// What a value may be.
  enum Bounds: Sendable {
    case atLeast(Int)
    case whole(ClosedRange<Int>)
    case positive
    case notNegative
    case share

    func fault(_ value: Double, _ name: OptionName) -> String? {
      switch self {
      case .atLeast(let least): value < Double(least) ? "\(name) must be at least \(least)." : nil
      case .whole(let range):
        value < Double(range.lowerBound)
          ? "\(name) must be at least \(range.lowerBound)."
          : value > Double(range.upperBound) ? "\(name) must be at most \(grouped(range.upperBound))." : nil
      case .positive: value > 0 && value.isFinite ? nil : "\(name) must be above 0."
      case .notNegative: value >= 0 && value.isFinite ? nil : "\(name) must not be negative."
      case .share: (0..<1).contains(value) ? nil : "\(name) must be from 0 to below 1."
      }
    }
  }

  /// An option with a value that `TrainOptions` has at `given`, and a run at `recorded`.
  init<Value: RunOptionValue>(
    _ name: OptionName, _ placeholder: String? = nil, _ help: String,
    given: any KeyPath<TrainOptions, Value?> & Sendable,
    bounds: Bounds? = nil, isAdapters: Bool = false, role: Role = .keeping, parameter: String? = nil,
    shown: [(key: String, title: String)] = [], isFixed: Bool = true,
    recorded: @escaping @Sendable (RunConfiguration) -> Value?,
    change: (@Sendable (TrainOptions, RunConfiguration, Workspace) throws -> String?)? = nil
  ) {
    self.name = name
    self.placeholder = placeholder
    self.help = help
    self.isAdapters = isAdapters
    self.role = role
    self.parameter = parameter ?? name.rawValue.replacing("-", with: "_")
    self.shown = shown
    isGiven = { $0[keyPath: given] != nil }
    fault = { options in
      guard let value = options[keyPath: given] else { return nil }
      return value.numbers.lazy.compactMap { bounds?.fault($0, name) }.first
    }
    self.isFixed = isFixed
    self.change =
      change ?? { options, configuration, _ in
        guard isFixed, let own = options[keyPath: given], let its = recorded(configuration), own != its else {
          return nil
        }
        return "\(name) \(own.words) (it was \(its.words))"
      }
    self.recorded = { recorded($0)?.json }
  }

  /// An option that a run records nothing of, so that a resumed one may be given another.
  init<Value: RunOptionValue>(
    _ name: OptionName, _ placeholder: String? = nil, _ help: String,
    unrecorded given: any KeyPath<TrainOptions, Value?> & Sendable
  ) {
    self.init(name, placeholder, help, given: given, isFixed: false, recorded: { _ in nil })
  }
}

extension TrainOptions {
  /// What is wrong with what was given: the first, in a sentence.
  public var fault: String? { RunOption.all.lazy.compactMap { $0.fault(self) }.first }

  /// The first of the options given that only an adapter has.
  public var adaptersOption: OptionName? { RunOption.all.first { $0.isAdapters && $0.isGiven(self) }?.name }
}

/// What an option may be.
protocol RunOptionValue: Equatable, Sendable {
  var json: JSONValue { get }
  /// As an error shows it.
  var words: String { get }
  /// What bounds are for.
  var numbers: [Double] { get }
}

extension RunOptionValue {
  var words: String { "\(self)" }
  var numbers: [Double] { [] }
}

extension Int: RunOptionValue {
  var json: JSONValue { .integer(self) }
  var numbers: [Double] { [Double(self)] }
}

extension UInt64: RunOptionValue {
  /// A seed may be larger than any integer of JSON here.
  var json: JSONValue { Int(exactly: self).map { .integer($0) } ?? .number(Double(self)) }
}

extension Double: RunOptionValue {
  var json: JSONValue { .number(self) }
  var numbers: [Double] { [self] }
}

extension Bool: RunOptionValue {
  var json: JSONValue { .bool(self) }
}

extension String: RunOptionValue {
  var json: JSONValue { .string(self) }
}

extension Array: RunOptionValue where Element: RunOptionValue {
  var json: JSONValue { .array(map(\.json)) }
  var numbers: [Double] { flatMap(\.numbers) }
}

extension RunOptionValue where Self: RawRepresentable<String> {
  var json: JSONValue { .string(rawValue) }
  var words: String { rawValue }
}
