import JSON

/// The names of a JSON object's members, and where their values are; the values are not read.
struct ObjectOutline {
  let bytes: UnsafeRawBufferPointer
  private(set) var members: [(name: String, value: Range<Int>)] = []

  /// nil where `bytes` are not one object with nothing but white space around it. They must stay valid.
  init?(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    var scanner = JSONScanner(bytes)
    scanner.skipSpace()
    guard scanner.skip(UInt8(ascii: "{")), (try? readMembers(&scanner)) == true else { return nil }
    scanner.skipSpace()
    guard scanner.peek == nil else { return nil }
  }

  /// False where they are not those of an object.
  private mutating func readMembers(_ scanner: inout JSONScanner) throws -> Bool {
    scanner.skipSpace()
    if scanner.skip(UInt8(ascii: "}")) { return true }
    repeat {
      let quoted = UnsafeRawBufferPointer(rebasing: bytes[try scanner.delimitValue()])
      guard let name = try parseJSON(quoted, file: "").string else { return false }
      scanner.skipSpace()
      guard scanner.skip(UInt8(ascii: ":")) else { return false }
      members.append((name, try scanner.delimitValue()))
      scanner.skipSpace()
    } while scanner.skip(UInt8(ascii: ","))
    return scanner.skip(UInt8(ascii: "}"))
  }

  var names: [String] { members.map(\.name) }

  /// The first object of the array that a member holds; nil where it holds none.
  func firstElement(of name: String) -> ObjectOutline? {
    guard let value = members.first(where: { $0.name == name })?.value else { return nil }
    let array = UnsafeRawBufferPointer(rebasing: bytes[value])
    var scanner = JSONScanner(array)
    guard scanner.skip(UInt8(ascii: "[")), let element = try? scanner.delimitValue() else { return nil }
    return ObjectOutline(UnsafeRawBufferPointer(rebasing: array[element]))
  }

  /// The member that holds an array of objects which may be records: no conversation.
  var recordsMember: String? {
    guard FieldNames.match(FieldNames.instruction, in: names) == nil else { return nil }
    return names.first { name in
      !DataFormat.listNames.contains(name) && firstElement(of: name).map { !$0.isTurn } ?? false
    }
  }

  /// Where the records are, if the object holds an array of objects that can be nothing else: it is no record itself, by its members
  /// or by those that `columns` names, and there is one such array.
  func records(_ columns: ColumnNames) -> Range<Int>? {
    guard DataFormat(members: Set(names)) == nil, Set(names).isDisjoint(with: columns.columns.values) else {
      return nil
    }
    let arrays = members.filter { firstElement(of: $0.name) != nil }
    return arrays.count == 1 && arrays[0].name == recordsMember ? arrays[0].value : nil
  }

  /// An element of a conversation, which names who speaks.
  var isTurn: Bool { names.contains("role") || names.contains("from") }
}
