#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// `value` with a fixed number of decimals, whatever the locale.
public func fixed(_ value: Double, _ decimals: Int) -> String { formatted("%.*f", value, decimals) }

/// `value` with that many significant digits, in the shorter of the two notations.
public func significant(_ value: Double, _ digits: Int) -> String { formatted("%.*g", value, digits) }

/// 1234567 → "1,234,567".
public func grouped(_ value: Int) -> String {
  let digits = Array(String(value.magnitude))
  var text = value < 0 ? "-" : ""
  for (index, digit) in digits.enumerated() {
    if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
    text.append(digit)
  }
  return text
}

/// 1, "update" → "1 update"; 2 → "2 updates".
public func counted(_ count: Int, _ noun: String) -> String { "\(grouped(count)) \(noun)\(count == 1 ? "" : "s")" }

/// A number as people write it: 16.0 → "16", 0.01 → "0.01".
public func plainNumber(_ value: Double) -> String {
  let text = "\(value)"
  return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}

/// Bytes in decimal units: 1536000 → "1.5 MB".
public func byteCount(_ bytes: Int) -> String {
  let units = ["bytes", "kB", "MB", "GB", "TB"]
  var value = Double(bytes)
  var unit = 0
  while value >= 1000, unit < units.count - 1 {
    value /= 1000
    unit += 1
  }
  return unit == 0 ? "\(bytes) bytes" : "\(fixed(value, 1)) \(units[unit])"
}

/// A number with the fewest digits that read back the same, and its power of ten: 0.00012 → "1.2e-4", 1 → "1e0".
public func scientific(_ value: Double) -> String {
  // Seventeen digits always do.
  for decimals in 0...16 {
    let text = scientific(value, decimals)
    if Double(text) == value { return text }
  }
  return "\(value)"
}

/// A number with a fixed number of decimals, and its power of ten: 0.0123456 with 2 → "1.23e-2".
public func scientific(_ value: Double, _ decimals: Int) -> String {
  let text = formatted("%.*e", value, decimals)
  let parts = text.split(separator: "e")
  guard parts.count == 2, let exponent = Int(parts[1]) else { return text }
  return "\(parts[0])e\(exponent)"
}

/// A learning rate to three digits at most: 0.000123456 → "1.23e-4", 1e30 → "1e30", 0 → "0".
public func shortRate(_ rate: Double) -> String {
  rate == 0 ? "0" : scientific(Double(scientific(rate, 2)) ?? rate)
}

/// As C prints it; the format takes the decimals and the value.
private func formatted(_ format: String, _ value: Double, _ decimals: Int) -> String {
  withVaList([Int32(decimals), value]) { arguments in
    var buffer = [CChar](repeating: 0, count: 352)
    let length = vsnprintf(&buffer, buffer.count, format, arguments)
    return String(decoding: buffer.prefix(Int(max(0, length))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// Names for a sentence: "a", "b" and "c", each in quotes; of many or long ones a part.
public func quotedList(_ names: [String]) -> String {
  let limit = 8
  var parts = names.prefix(limit).map { "\"\($0.count > 40 ? $0.prefix(39) + "…" : $0[...])\"" }
  if names.count > limit { parts.append("\(names.count - limit) more") }
  guard let last = parts.popLast() else { return "" }
  return parts.isEmpty ? last : parts.joined(separator: ", ") + " and " + last
}

/// Text from outside, safe to show on a terminal: control characters other than line feeds and tabs, and those that turn
/// the direction of what follows (as U+202E does), are written as escapes.
public func printable(_ text: String) -> String {
  if text.utf8.allSatisfy({ (0x20..<0x7f).contains($0) || $0 == 0x0a || $0 == 0x09 }) { return text }
  var safe = ""
  for scalar in text.unicodeScalars {
    if scalar == "\n" || scalar == "\t" || !actsOnTerminal(scalar) {
      safe.unicodeScalars.append(scalar)
    } else {
      safe += "\\u{\(String(scalar.value, radix: 16))}"
    }
  }
  return safe
}

private func actsOnTerminal(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.properties.generalCategory {
  case .control, .lineSeparator, .paragraphSeparator: true
  default: scalar.properties.isBidiControl
  }
}

/// A name from outside, of a tensor or a file, as it may be shown on a terminal: quoted, control characters escaped, at
/// most 100 characters.
public func quoted(_ name: String) -> String {
  var text = "'"
  for (index, scalar) in name.unicodeScalars.enumerated() {
    if index == 100 {
      text += "…"
      break
    }
    let hidden = scalar.value < 32 || (127...159).contains(scalar.value) || scalar.properties.isBidiControl
    text += hidden ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
  }
  return text + "'"
}

/// The first few of a list of names, quoted, and how many more there are.
public func listed(_ names: [String], limit: Int = 4) -> String {
  let shown = names.prefix(limit).map(quoted).joined(separator: ", ")
  return names.count > limit ? "\(shown) and \(names.count - limit) more" : shown
}
