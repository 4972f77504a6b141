import Core
import GGUF

/// Typed access to the keys of a GGUF file that say how its model is computed. What is out of bounds or of the wrong kind throws
/// `badData`, naming file and key.
struct GGUFKeys {
  let file: GGUFFile
  /// What stands before their names.
  let prefix: String

  func failure(_ key: String, _ message: String) -> SFTError {
    SFTError(.badData, "the key \(quoted(prefix + key)) \(message)", file: file.path)
  }

  func has(_ key: String) -> Bool { file.metadata[prefix + key] != nil }

  /// nil where absent.
  func integer(_ key: String, in bounds: ClosedRange<Int>) throws -> Int? {
    guard let number = try file.metadata.int(prefix + key) else { return nil }
    guard bounds.contains(number) else {
      throw failure(key, "is \(number), expected \(bounds.lowerBound) to \(bounds.upperBound)")
    }
    return number
  }

  /// A size from 1 to `limit`, one for all layers; nil where absent. A list must have the same for each.
  func size(ifThere key: String, limit: Int) throws -> Int? {
    guard case .array? = file.metadata[prefix + key] else { return try integer(key, in: 1...limit) }
    let sizes = try file.metadata.ints(prefix + key) ?? []
    guard let first = sizes.first, sizes.allSatisfy({ $0 == first }) else {
      throw failure(key, "differs by layer, which is not supported")
    }
    guard (1...limit).contains(first) else { throw failure(key, "is \(first), expected 1 to \(limit)") }
    return first
  }

  /// As `size(ifThere:limit:)`; throws where the key is absent.
  func size(_ key: String, limit: Int) throws -> Int {
    guard let size = try size(ifThere: key, limit: limit) else { throw failure(key, "is missing") }
    return size
  }

  /// nil where absent. A float32 is the shortest decimal that rounds to it: what was written, where that was a decimal.
  func number(_ key: String, in bounds: ClosedRange<Double>) throws -> Double? {
    guard var number = try file.metadata.double(prefix + key) else { return nil }
    if case .float32(let float)? = file.metadata[prefix + key], float.isFinite { number = Double("\(float)") ?? number }
    guard bounds.contains(number) else {
      throw failure(key, "is \(number), expected \(bounds.lowerBound) to \(bounds.upperBound)")
    }
    return number
  }

  /// Throws for a key that is there and says something else than what is computed without it.
  func refuse(_ key: String, unless neutral: Double) throws {
    guard let number = try file.metadata.double(prefix + key), number != neutral else { return }
    throw failure(key, "is \(number), which is not supported")
  }

  /// As `refuse(_:unless:)`.
  func refuse(_ key: String, unless neutral: Bool) throws {
    guard let flag = try file.metadata.bool(prefix + key), flag != neutral else { return }
    throw failure(key, "is \(flag), which is not supported")
  }
}
