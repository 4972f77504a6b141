import Core

/// The keys and values of a GGUF file, in the order of the file.
public struct GGUFMetadata: Sendable {
  /// In the order of the file, or in which they were set.
  public private(set) var keys: [String] = []
  private var values: [String: GGUFValue] = [:]
  /// The file they were read from, which errors name.
  package var file: String?

  public init() {}

  /// Setting a new key puts it last; setting nil removes it.
  public subscript(key: String) -> GGUFValue? {
    get { values[key] }
    set {
      if newValue == nil {
        if values[key] != nil { keys.removeAll { $0 == key } }
      } else if values[key] == nil {
        keys.append(key)
      }
      values[key] = newValue
    }
  }

  /// A text; nil where the key is absent. Throws `badData`, naming the key, where it is something else.
  public func string(_ key: String) throws -> String? {
    try value(key, "a string") { if case .string(let text) = $0 { text } else { nil } }
  }

  /// An integer of any kind; nil where the key is absent. Throws `badData`, naming the key, where it is something else or
  /// does not fit.
  public func int(_ key: String) throws -> Int? { try value(key, "an integer of at most 63 bits") { $0.integer } }

  /// A float or an integer of any kind; nil where the key is absent. Throws `badData`, naming the key, where it is
  /// something else.
  public func double(_ key: String) throws -> Double? {
    try value(key, "a number") {
      switch $0 {
      case .float32(let number): Double(number)
      case .float64(let number): number
      case .uint64(let number): Double(number)
      case let other: other.integer.map { Double($0) }
      }
    }
  }

  /// Yes or no; nil where the key is absent. Throws `badData`, naming the key, where it is something else.
  public func bool(_ key: String) throws -> Bool? {
    try value(key, "a bool") { if case .bool(let flag) = $0 { flag } else { nil } }
  }

  /// A list of texts; nil where the key is absent. Throws `badData`, naming the key, where it is something else.
  public func strings(_ key: String) throws -> [String]? {
    try value(key, "an array of strings") { if case .array(.strings(let texts)) = $0 { texts } else { nil } }
  }

  /// A list of integers of any kind; nil where the key is absent. Throws `badData`, naming the key, where it is something
  /// else or one does not fit.
  public func ints(_ key: String) throws -> [Int]? {
    try value(key, "an array of integers of at most 63 bits") {
      if case .array(let array) = $0 { array.integers } else { nil }
    }
  }

  /// A list of floats or integers of any kind as float32, rounded where need be; nil where the key is absent. Throws
  /// `badData`, naming the key, where it is something else.
  public func floats(_ key: String) throws -> [Float]? {
    try value(key, "an array of numbers") {
      switch $0 {
      case .array(.float32s(let numbers)): numbers
      case .array(.float64s(let numbers)): numbers.map { Float($0) }
      case .array(.uint64s(let numbers)): numbers.map { Float($0) }
      case .array(let array): array.integers.map { $0.map { Float($0) } }
      default: nil
      }
    }
  }

  /// A list of bools; nil where the key is absent. Throws `badData`, naming the key, where it is something else.
  public func bools(_ key: String) throws -> [Bool]? {
    try value(key, "an array of bools") { if case .array(.bools(let flags)) = $0 { flags } else { nil } }
  }

  private func value<Value>(_ key: String, _ expected: String, _ read: (GGUFValue) -> Value?) throws -> Value? {
    guard let value = values[key] else { return nil }
    guard let result = read(value) else {
      throw SFTError(
        .badData, "the key \(quoted(key)) is expected to be \(expected), but is \(value.summary)", file: file)
    }
    return result
  }
}

extension GGUFMetadata: Equatable {
  /// Same keys in the same order with the same values, wherever they come from.
  public static func == (left: GGUFMetadata, right: GGUFMetadata) -> Bool {
    left.keys == right.keys && left.values == right.values
  }
}
