import JSON

extension Value {
  init(_ variable: JinjaTemplate.Variable) {
    switch variable {
    case .literal(let text): self = .text(text)
    case .flag(let flag): self = .bool(flag)
    case .none: self = .none
    case .data(let value): self.init(value, .data)
    case .messages(let messages, let knownRoles):
      let items = messages.enumerated().map { index, message in
        Value(message: message, .message(index), knownRoles)
      }
      self = .list(ItemList(items, origin: .data))
    }
  }

  private init(_ value: JSONValue, _ origin: Origin) {
    switch value {
    case .null: self = .none
    case .bool(let value): self = .bool(value)
    case .integer(let value): self = .integer(value)
    case .number(let value): self = .float(value)
    case .string(let text): self = .text(Text(text, origin))
    case .array(let items): self = .list(ItemList(items.map { Value($0, origin) }, origin: origin))
    case .object(let object):
      self = .mapping(
        Mapping(object.members.map { (.text(Text($0.key, origin)), Value($0.value, origin)) }, origin: origin))
    }
  }

  private init(message: JSONValue, _ origin: Origin, _ knownRoles: Set<String>) {
    guard let object = message.object else {
      self.init(message, origin)
      return
    }
    let members = object.members.map { member -> (key: Value, value: Value) in
      let isRole = member.key == "role" && member.value.string.map(knownRoles.contains) == true
      return (.text(Text(member.key, origin)), Value(member.value, isRole ? .template : origin))
    }
    self = .mapping(Mapping(members, origin: origin))
  }
}
