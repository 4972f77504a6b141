import Core

extension PinnedDate {
  /// C's `strftime` in the C locale, with glibc's flag that leaves out padding (`%-d`).
  func formatted(_ format: String) -> String {
    var text = ""
    var scalars = format.unicodeScalars[...]
    while let scalar = scalars.popFirst() {
      guard scalar == "%", var directive = scalars.first else {
        text.unicodeScalars.append(scalar)
        continue
      }
      var rest = scalars.dropFirst()
      var isPlain = false
      if directive == "-", let next = rest.first {
        (isPlain, directive) = (true, next)
        rest = rest.dropFirst()
      }
      guard let piece = piece(directive) else {
        text += "%"
        continue
      }
      text += isPlain ? Self.unpadded(piece) : piece
      scalars = rest
    }
    return text
  }

  private static func unpadded(_ text: String) -> String {
    let short = text.drop { $0 == "0" || $0 == " " }
    return short.isEmpty && !text.isEmpty ? "0" : String(short)
  }

  private static let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
  ]

  private func piece(_ directive: Unicode.Scalar) -> String? {
    switch directive {
    case "a": String(Self.days[weekday].prefix(3))
    case "A": Self.days[weekday]
    case "b", "h": String(Self.months[month - 1].prefix(3))
    case "B": Self.months[month - 1]
    case "d": padded(day, 2)
    case "e": padded(day, 2, with: " ")
    case "m": padded(month, 2)
    case "y": padded(year % 100, 2)
    case "Y": String(year)
    case "C": padded(year / 100, 2)
    case "j": padded(dayOfYear, 3)
    case "u": String(weekday + 1)
    case "w": String((weekday + 1) % 7)
    case "U": padded((dayOfYear + 6 - (weekday + 1) % 7) / 7, 2)
    case "W": padded((dayOfYear + 6 - weekday) / 7, 2)
    default: clock(directive)
    }
  }

  private func clock(_ directive: Unicode.Scalar) -> String? {
    switch directive {
    case "H": padded(hour, 2)
    case "k": padded(hour, 2, with: " ")
    case "I": padded((hour + 11) % 12 + 1, 2)
    case "l": padded((hour + 11) % 12 + 1, 2, with: " ")
    case "M": padded(minute, 2)
    case "S": padded(second, 2)
    case "f": "000000"
    case "p": hour < 12 ? "AM" : "PM"
    case "P": hour < 12 ? "am" : "pm"
    case "c": formatted("%a %b %e %H:%M:%S %Y")
    case "D", "x": formatted("%m/%d/%y")
    case "F": formatted("%Y-%m-%d")
    case "R": formatted("%H:%M")
    case "T", "X": formatted("%H:%M:%S")
    case "r": formatted("%I:%M:%S %p")
    case "n": "\n"
    case "t": "\t"
    // A moment without a time zone.
    case "Z", "z": ""
    case "%": "%"
    default: nil
    }
  }

  private func padded(_ number: Int, _ width: Int, with fill: String = "0") -> String {
    let digits = String(number)
    return String(repeating: fill, count: max(0, width - digits.count)) + digits
  }
}
