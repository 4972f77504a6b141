import ArgumentParser
import Core

/// One learning rate, or several with commas between, or `auto` for one that is to be found.
struct LearningRates: ExpressibleByArgument {
  private static let auto = "auto"

  private let parts: [(text: String, value: Double?)]
  let isAuto: Bool

  /// nil for one that is no number; parts of a list are looked at by `validate`, which can say more.
  init?(argument: String) {
    isAuto = argument == Self.auto
    if isAuto {
      parts = []
      return
    }
    parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { (String($0), Double($0)) }
    if parts.count == 1, parts[0].value == nil { return nil }
  }

  var values: [Double] { parts.compactMap(\.value) }
  var single: Double? { parts.count == 1 ? parts[0].value : nil }

  func validate() throws {
    for (text, value) in parts where value == nil {
      throw ValidationError(
        "\(OptionName.lr) takes a rate, auto, or several such as 1e-4,3e-4,1e-3; "
          + (text.isEmpty ? "one of these is empty." : "'\(text)' is no number."))
    }
    for value in values { try positive(value, OptionName.lr.description) }
    for (index, value) in values.enumerated() where values[..<index].contains(value) {
      throw ValidationError("\(OptionName.lr) names the rate \(scientific(value)) twice.")
    }
  }
}

func atLeast(_ bound: Int, _ value: Int?, _ flag: String) throws {
  if let value, value < bound { throw ValidationError("\(flag) must be at least \(bound).") }
}

func atMost(_ bound: Int, _ value: Int?, _ flag: String) throws {
  if let value, value > bound { throw ValidationError("\(flag) must be at most \(grouped(bound)).") }
}

func positive(_ value: Double?, _ flag: String) throws {
  if let value, !(value > 0 && value.isFinite) { throw ValidationError("\(flag) must be above 0.") }
}

func nonNegative(_ value: Double?, _ flag: String) throws {
  if let value, !(value >= 0 && value.isFinite) { throw ValidationError("\(flag) must not be negative.") }
}
