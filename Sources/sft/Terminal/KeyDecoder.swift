/// What was pressed, from the bytes that a terminal sends for it.
package enum Key: Equatable {
  case text(Unicode.Scalar)
  /// A line break within the message.
  case lineFeed
  case enter
  case left, right, up, down, home, end
  case wordLeft, wordRight
  case backspace, delete, deleteWord, deleteToStart, deleteToEnd
  case clear, suspend, interrupt
  /// Ctrl-D: the end, or the character under the cursor.
  case endOrDelete
}

/// Bytes → keys, one byte at a time: UTF-8, the escape sequences of the usual terminals, and pasted text in brackets. What is
/// none of these is left out.
struct KeyDecoder {
  private enum State {
    case ground
    case escape
    /// Behind ESC O.
    case single
    /// Behind ESC [, what came of it.
    case sequence([UInt8])
    /// Part of a character, and how long it is.
    case character([UInt8], Int)
  }

  private static let longestSequence = 16
  private var state = State.ground
  private(set) var isPasting = false
  /// A line feed behind it is the same line's end.
  private var pastedReturn = false

  mutating func take(_ byte: UInt8) -> Key? {
    switch state {
    case .ground: return ground(byte)
    case .escape: return escape(byte)
    case .single:
      state = .ground
      return Self.arrow(byte)
    case .sequence(let bytes): return sequence(bytes, byte)
    case .character(let bytes, let length):
      state = .ground
      guard byte & 0xc0 == 0x80 else { return ground(byte) }
      return character(bytes + [byte], length)
    }
  }

  private mutating func ground(_ byte: UInt8) -> Key? {
    defer { pastedReturn = isPasting && byte == 0x0d }
    switch byte {
    case 0x1b:
      state = .escape
      return nil
    case 0x20..<0x7f, 0x09: return .text(Unicode.Scalar(byte))
    case 0xc2...0xdf: return character([byte], 2)
    case 0xe0...0xef: return character([byte], 3)
    case 0xf0...0xf4: return character([byte], 4)
    case 0x0a where pastedReturn: return nil
    case 0x0a, 0x0d: return isPasting ? .lineFeed : .enter
    default: return isPasting ? nil : Self.control(byte)
    }
  }

  private mutating func character(_ bytes: [UInt8], _ length: Int) -> Key? {
    guard bytes.count == length else {
      state = .character(bytes, length)
      return nil
    }
    guard let scalar = String(validating: bytes, as: UTF8.self)?.unicodeScalars.first,
      scalar.properties.generalCategory != .control
    else { return nil }
    return .text(scalar)
  }

  private mutating func escape(_ byte: UInt8) -> Key? {
    state = .ground
    switch byte {
    case UInt8(ascii: "["): state = .sequence([])
    case UInt8(ascii: "O"): state = .single
    case 0x1b: state = .escape
    case 0x0a, 0x0d: return .lineFeed
    case UInt8(ascii: "b"): return .wordLeft
    case UInt8(ascii: "f"): return .wordRight
    case 0x08, 0x7f: return .deleteWord
    default: break
    }
    return nil
  }

  private mutating func sequence(_ bytes: [UInt8], _ byte: UInt8) -> Key? {
    switch byte {
    case 0x20..<0x40:
      state = .sequence(bytes.count < Self.longestSequence ? bytes + [byte] : bytes)
      return nil
    case 0x40..<0x7f:
      state = .ground
      return sequence(String(decoding: bytes, as: UTF8.self), ends: byte)
    default:
      state = .ground
      return ground(byte)
    }
  }

  private mutating func sequence(_ parameters: String, ends byte: UInt8) -> Key? {
    guard byte == UInt8(ascii: "~") else {
      // With Ctrl or Alt.
      let isModified = parameters.hasSuffix(";5") || parameters.hasSuffix(";3")
      switch Self.arrow(byte) {
      case .left? where isModified: return .wordLeft
      case .right? where isModified: return .wordRight
      case let key: return isPasting ? nil : key
      }
    }
    switch parameters {
    case "200": isPasting = true
    case "201": isPasting = false
    case "1", "7": return .home
    case "4", "8": return .end
    case "3": return .delete
    default: break
    }
    return nil
  }

  private static func arrow(_ byte: UInt8) -> Key? {
    switch byte {
    case UInt8(ascii: "A"): .up
    case UInt8(ascii: "B"): .down
    case UInt8(ascii: "C"): .right
    case UInt8(ascii: "D"): .left
    case UInt8(ascii: "H"): .home
    case UInt8(ascii: "F"): .end
    default: nil
    }
  }

  /// Ctrl with a letter, as shells have it.
  private static func control(_ byte: UInt8) -> Key? {
    let keys: [UInt8: Key] = [
      0x01: .home, 0x02: .left, 0x03: .interrupt, 0x04: .endOrDelete, 0x05: .end, 0x06: .right, 0x08: .backspace,
      0x0b: .deleteToEnd, 0x0c: .clear, 0x0e: .down, 0x10: .up, 0x15: .deleteToStart, 0x17: .deleteWord,
      0x1a: .suspend, 0x7f: .backspace,
    ]
    return keys[byte]
  }
}
