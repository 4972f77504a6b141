import Core

/// Parses and checks what follows a tensor's name.
struct GGUFTensorParser {
  var name: String
  var alignment: Int

  /// The tensor with its offset in the data section, of which nothing is known yet but that it is aligned.
  func parse(_ cursor: inout GGUFCursor) throws -> GGUFTensorInfo {
    let shape = try shape(&cursor)
    let type = try type(&cursor)
    let row = shape.last ?? 1
    guard row % type.blockElements == 0 else {
      throw failure(
        "its rows of \(row) values are not whole blocks of \(type.blockElements), as \(type.name) needs them", cursor)
    }
    var count = 1
    for size in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      guard !overflow else { throw failure("shape \(shape) has more values than can be counted", cursor) }
      count = product
    }
    guard let byteCount = type.byteCount(of: count) else {
      throw failure("shape \(shape) of \(type.name) takes more bytes than can be counted", cursor)
    }
    let offset: UInt64 = try cursor.integer("the offset of the tensor \(quoted(name))")
    guard let offset = Int(exactly: offset) else {
      throw failure("starts at byte \(offset) of the data, which is more than can be counted", cursor)
    }
    guard offset % alignment == 0 else {
      throw failure("starts at byte \(offset) of the data, which is not a multiple of \(alignment)", cursor)
    }
    return GGUFTensorInfo(name: name, shape: shape, type: type, offset: offset, byteCount: byteCount)
  }

  private func shape(_ cursor: inout GGUFCursor) throws -> [Int] {
    let count: UInt32 = try cursor.integer("the dimensions of the tensor \(quoted(name))")
    guard (1...4).contains(count) else { throw failure("has \(count) dimensions, expected 1 to 4", cursor) }
    let sizes = try (0..<count).map { _ in
      let size: UInt64 = try cursor.integer("the dimensions of the tensor \(quoted(name))")
      guard size > 0, let size = Int(exactly: size) else {
        throw failure("has a dimension of \(size) values", cursor)
      }
      return size
    }
    return sizes.reversed()
  }

  private func type(_ cursor: inout GGUFCursor) throws -> GGUFType {
    let number: UInt32 = try cursor.integer("the type of the tensor \(quoted(name))")
    if let type = GGUFType(rawValue: number) { return type }
    let readable = GGUFType.allCases.map(\.name).joined(separator: ", ")
    guard let known = GGUFType.unreadName(number) else {
      throw failure("has the unknown type \(number)", cursor, advice: "Known here are \(readable)")
    }
    throw failure(
      "is stored as \(known), which is not supported", cursor,
      advice: "Take a file of the model in which every tensor is one of \(readable)")
  }

  private func failure(_ message: String, _ cursor: GGUFCursor, advice: String? = nil) -> SFTError {
    cursor.failure("tensor \(quoted(name)): \(message)", advice: advice)
  }
}
