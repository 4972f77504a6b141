import Core
import JSON

/// Typed access to the members of a `config.json`. A null counts as absent; everything else of the wrong kind or out of
/// bounds throws `badData`, naming file and key.
struct ConfigurationReader {
  var object: JSONObject
  var path: String

  func failure(_ key: String, _ message: String) -> SFTError {
    SFTError(.badData, "'\(key)' \(message)", file: path)
  }

  func value(_ key: String) -> JSONValue? {
    guard let value = object[key] else { return nil }
    if case .null = value { return nil }
    return value
  }

  func string(_ key: String) throws -> String? {
    guard let value = value(key) else { return nil }
    guard case .string(let text) = value else { throw failure(key, "is not a string") }
    return text
  }

  func bool(_ key: String, default standard: Bool) throws -> Bool {
    guard let value = value(key) else { return standard }
    guard case .bool(let flag) = value else { throw failure(key, "is not true or false") }
    return flag
  }

  /// nil where absent or null.
  func integer(_ key: String, in bounds: ClosedRange<Int>) throws -> Int? {
    guard let value = value(key) else { return nil }
    guard case .integer(let number) = value else { throw failure(key, "is not an integer") }
    guard bounds.contains(number) else {
      throw failure(key, "is \(number), expected \(bounds.lowerBound) to \(bounds.upperBound)")
    }
    return number
  }

  /// A size that must be there: from 1 to `limit`.
  func size(_ key: String, limit: Int) throws -> Int {
    guard let size = try integer(key, in: 1...limit) else { throw failure(key, "is missing") }
    return size
  }

  func number(_ key: String, default standard: Double, in bounds: ClosedRange<Double>) throws -> Double {
    guard let value = value(key) else { return standard }
    let number: Double
    switch value {
    case .integer(let integer): number = Double(integer)
    case .number(let double): number = double
    default: throw failure(key, "is not a number")
    }
    guard bounds.contains(number) else {
      throw failure(key, "is \(number), expected \(bounds.lowerBound) to \(bounds.upperBound)")
    }
    return number
  }

  /// Token ids given as one integer or a list; those that a vocabulary of `limit` does not have are left out.
  func tokens(_ key: String, limit: Int) throws -> [Int] {
    guard let value = value(key) else { return [] }
    let elements = value.array ?? [value]
    return try elements.compactMap { element in
      guard case .integer(let token) = element, token >= -1 else {
        throw failure(key, "is not a token id or a list of them")
      }
      return (0..<limit).contains(token) ? token : nil
    }
  }

  /// nil where absent or null.
  func number(_ key: String, in bounds: ClosedRange<Double>) throws -> Double? {
    value(key) == nil ? nil : try number(key, default: 0, in: bounds)
  }

  /// Numbers of a list, each within `bounds`. Throws where the key is not one.
  func numbers(_ key: String, in bounds: ClosedRange<Double>) throws -> [Double] {
    guard let list = value(key)?.array else { throw failure(key, "is missing or not a list of numbers") }
    return try list.map { element in
      guard let number = element.double, bounds.contains(number) else {
        throw failure(key, "holds something that is not a number from \(bounds.lowerBound) to \(bounds.upperBound)")
      }
      return number
    }
  }

  /// Throws where a list has not one entry for each layer.
  func check(_ key: String, has count: Int, forLayers layers: Int) throws {
    guard count != layers else { return }
    throw failure(key, "has \(count) \(count == 1 ? "entry" : "entries") for \(counted(layers, "layer"))")
  }

  /// nil where absent or null.
  func strings(_ key: String) throws -> [String]? {
    guard let value = value(key) else { return nil }
    guard let list = value.array else { throw failure(key, "is not a list of strings") }
    return try list.map { element in
      guard case .string(let text) = element else { throw failure(key, "is not a list of strings") }
      return text
    }
  }

  /// The members of an object within this one; nil where absent or null.
  func nested(_ key: String) throws -> ConfigurationReader? {
    guard let value = value(key) else { return nil }
    guard let object = value.object else { throw failure(key, "is not an object") }
    return ConfigurationReader(object: object, path: path)
  }

  /// `quant_method` of weights that are stored quantised.
  func quantizationMethod() throws -> String? {
    guard let quantization = try nested("quantization_config") else { return nil }
    return quantization.object["quant_method"]?.string ?? "unknown"
  }

  /// Throws for each of `keys` that is true.
  func refuse(true keys: String...) throws {
    for key in keys where try bool(key, default: false) { throw failure(key, "is true, which is not supported") }
  }
}
