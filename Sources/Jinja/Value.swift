/// A value of a template, as Python would have it.
enum Value {
  case undefined(Undefined)
  case none
  case bool(Bool)
  case integer(Int)
  case float(Double)
  case text(Text)
  case list(ItemList)
  case tuple(ItemList)
  case view(View)
  case range(PythonRange)
  case mapping(Mapping)
  case namespace(Namespace)
  case generator(Generator)
  case loop(LoopState)
  case macro(Macro)
  case function(Function)
  case object(StatefulObject)
}

extension Value {
  static func text(_ text: String) -> Value { .text(Text(text)) }
}

/// Why a value is undefined, for the error when it is used.
enum Undefined: Sendable {
  case name(String)
  case attribute(String, of: PythonType)
  case element(String, of: PythonType)
  case hint(String)

  var message: String {
    switch self {
    case .name(let name): "'\(name)' is undefined"
    case .attribute(let name, let type): "'\(type.objectName)' has no attribute '\(name)'"
    case .element(let element, let type): "\(type.objectName) has no element \(element)"
    case .hint(let hint): hint
    }
  }

  var error: JinjaError { JinjaError(.runtime, message) }
}

/// Python's name for a value's type.
enum PythonType: String, Sendable {
  case undefined = "Undefined"
  case none = "NoneType"
  case bool, int, float, str, list, tuple, range, dict, generator
  case view = "dict view"
  case namespace = "Namespace"
  case loop = "LoopContext"
  case macro = "Macro"
  case function = "builtin_function_or_method"
  case cycler = "Cycler"
  case joiner = "Joiner"

  /// As jinja2's messages have it: "dict object".
  var objectName: String { self == .none ? "None" : rawValue + " object" }
}

extension Value {
  var type: PythonType {
    switch self {
    case .undefined: .undefined
    case .none: .none
    case .bool: .bool
    case .integer: .int
    case .float: .float
    case .text: .str
    case .list: .list
    case .tuple: .tuple
    case .view: .view
    case .range: .range
    case .mapping: .dict
    case .namespace: .namespace
    case .generator: .generator
    case .loop: .loop
    case .macro: .macro
    case .function: .function
    case .object(let object): object.type
    }
  }

  /// Python's truth.
  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .integer(let value): value != 0
    case .float(let value): value != 0
    case .text(let text): !text.isEmpty
    case .list(let items), .tuple(let items): !items.items.isEmpty
    case .view(let view): !view.items.items.isEmpty
    case .range(let range): range.count > 0
    case .mapping(let mapping): mapping.count > 0
    case .namespace, .generator, .macro, .function, .object: true
    case .loop(let loop): (try? loop.length()) != 0
    }
  }

  var isUndefined: Bool {
    if case .undefined = self { true } else { false }
  }

  /// An integer or a truth value, as Python's arithmetic takes them.
  var integer: Int? {
    switch self {
    case .integer(let value): value
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  var number: Double? {
    if case .float(let value) = self { return value }
    return integer.map(Double.init)
  }

  /// How many containers stand in one another; what is not bounded cannot be walked or freed.
  var depth: Int {
    switch self {
    case .list(let items), .tuple(let items): items.depth
    case .mapping(let mapping): mapping.depth
    case .view(let view): view.items.depth
    case .generator(let generator): generator.depth
    case .loop(let loop): loop.depth
    case .function(let function): function.depth
    case .object(let object): object.depth
    default: 0
    }
  }

  /// Values in all within it, in steps of comparing them; at most a billion, for one list may stand in another many times.
  var size: Int {
    switch self {
    case .list(let items), .tuple(let items): min(items.size + 1, 1 << 30)
    case .mapping(let mapping): min(mapping.size + 1, 1 << 30)
    case .view(let view): min(view.items.size + 1, 1 << 30)
    case .range(let range): range.count
    case .text(let text): 1 + text.bytes.count >> 8
    default: 1
    }
  }
}
