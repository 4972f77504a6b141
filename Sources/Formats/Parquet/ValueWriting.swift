import Core

extension JSONLines {
  /// A value of 32 or 64 bits.
  mutating func appendNumber(_ value: Int64, _ form: ParquetSchema.Form) {
    switch form {
    case .boolean: append(value == 0 ? "false" : "true")
    case .unsigned32: append(String(UInt32(truncatingIfNeeded: value)))
    case .unsigned64: append(String(UInt64(bitPattern: value)))
    case .float: appendFloat(Float(bitPattern: UInt32(truncatingIfNeeded: value)))
    case .double: appendFloat(Double(bitPattern: UInt64(bitPattern: value)))
    case .decimal(let scale): append(Self.decimal(String(value), scale))
    case .date: appendString(Self.date(Int(clamping: value)))
    case .time(let perSecond):
      if value < 0 { append("null") } else { appendString(Self.time(value, perSecond)) }
    case .timestamp(let perSecond):
      let day = 86_400 * Int64(perSecond)
      var (days, rest) = value.quotientAndRemainder(dividingBy: day)
      if rest < 0 { (days, rest) = (days - 1, rest + day) }
      appendString(Self.date(Int(days)) + "T" + Self.time(rest, perSecond))
    case .nothing: append("null")
    default: append(String(value))
    }
  }

  /// JSON has no numbers that are not finite.
  private mutating func appendFloat<F: BinaryFloatingPoint & LosslessStringConvertible>(_ value: F) {
    append(value.isFinite ? value.description : "null")
  }

  /// A value that is a run of bytes. What is no text and has no other form becomes an object that says how long it is.
  mutating func appendBytes(_ bytes: UnsafeRawBufferPointer, _ form: ParquetSchema.Form) {
    switch form {
    case .text: appendString(bytes)
    case .uuid:
      let digits = bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }
      let parts = [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { range in
        digits[min(range.lowerBound, digits.count)..<min(range.upperBound, digits.count)].joined()
      }
      appendString(parts.joined(separator: "-"))
    case .float16 where bytes.count == 2:
      appendFloat(Self.half(bytes.loadUnaligned(as: UInt16.self)))
    case .decimal(let scale) where bytes.count <= 16:
      append(Self.decimal(Self.integer(bytes), scale))
    case .int96 where bytes.count == 12:
      let nanoseconds = bytes.loadUnaligned(as: Int64.self)
      guard nanoseconds >= 0 else { return append("null") }
      let day = Int(bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
      // Julian days: that of 1970-01-01 is this.
      appendString(Self.date(day - 2_440_588) + "T" + Self.time(nanoseconds, 1_000_000_000))
    default:
      if let text = String(validating: bytes, as: UTF8.self) {
        appendString(text)
      } else {
        append("{\"bytes\":")
        append(String(bytes.count))
        append("}")
      }
    }
  }

  /// The IEEE number of 16 bits.
  private static func half(_ bits: UInt16) -> Float {
    let (exponent, fraction) = (Int(bits >> 10 & 31), Float(bits & 1023))
    let sign: Float = bits >> 15 == 0 ? 1 : -1
    if exponent == 31 { return .nan }
    return exponent == 0
      ? sign * fraction * Float(sign: .plus, exponent: -24, significand: 1)
      : sign * (1024 + fraction) * Float(sign: .plus, exponent: exponent - 25, significand: 1)
  }

  /// Two's complement, the highest byte first, at most 16 of them.
  private static func integer(_ bytes: UnsafeRawBufferPointer) -> String {
    var value: Int128 = (bytes.first ?? 0) >= 0x80 ? -1 : 0
    for byte in bytes { value = value << 8 | Int128(byte) }
    return String(value)
  }

  /// `digits` with a point before the last `scale` of them.
  private static func decimal(_ digits: String, _ scale: Int) -> String {
    guard (1...64).contains(scale) else { return digits }
    let (sign, plain) = digits.hasPrefix("-") ? ("-", digits.dropFirst()) : ("", digits[...])
    let padded = String(repeating: "0", count: max(0, scale + 1 - plain.count)) + plain
    return sign + padded.dropLast(scale) + "." + padded.suffix(scale)
  }

  /// Of a day counted from 1970-01-01, in the Gregorian calendar.
  private static func date(_ days: Int) -> String {
    // Days from 0000-03-01, in eras of 400 years (Howard Hinnant, chrono-compatible date algorithms).
    let shifted = max(-1_000_000_000, min(1_000_000_000, days)) + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let day = shifted - era * 146_097
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
    let dayOfYear = day - (365 * year + year / 4 - year / 100)
    let month = (5 * dayOfYear + 2) / 153
    let number = month < 10 ? month + 3 : month - 9
    return padded(year + era * 400 + (number <= 2 ? 1 : 0), 4) + "-" + padded(number, 2) + "-"
      + padded(dayOfYear - (153 * month + 2) / 5 + 1, 2)
  }

  private static func time(_ value: Int64, _ perSecond: Int) -> String {
    let (seconds, rest) = (Int(value / Int64(perSecond)), Int(value % Int64(perSecond)))
    let whole = padded(seconds / 3600, 2) + ":" + padded(seconds / 60 % 60, 2) + ":" + padded(seconds % 60, 2)
    if rest == 0 { return whole }
    // Nanoseconds only where there are some.
    let (fraction, digits) =
      perSecond == 1_000_000_000 && rest % 1000 == 0 ? (rest / 1000, 6) : (rest, String(perSecond).count - 1)
    return whole + "." + padded(fraction, digits)
  }

  private static func padded(_ number: Int, _ digits: Int) -> String {
    let text = String(number.magnitude)
    return (number < 0 ? "-" : "") + String(repeating: "0", count: max(0, digits - text.count)) + text
  }
}
