extension Text {
  func uppercased() -> Text {
    mapASCII { (0x61...0x7a).contains($0) ? $0 & 0xdf : $0 }
      ?? mapScalars { scalar, _ in scalar.properties.uppercaseMapping }
  }

  func lowercased() -> Text {
    mapASCII { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 } ?? mapScalars { lowercase($0, at: $1) }
  }

  /// Python's `capitalize`.
  func capitalized() -> Text {
    mapScalars { scalar, offset in
      offset == 0 ? scalar.properties.titlecaseMapping : lowercase(scalar, at: offset)
    }
  }

  /// Python's `title`: a letter that follows no letter is a capital.
  func titled() -> Text {
    var follows = false
    return mapScalars { scalar, offset in
      defer { follows = scalar.properties.isCased }
      return follows ? lowercase(scalar, at: offset) : scalar.properties.titlecaseMapping
    }
  }

  func caseSwapped() -> Text {
    mapScalars { scalar, offset in
      if scalar.properties.isUppercase { return lowercase(scalar, at: offset) }
      return scalar.properties.isLowercase ? scalar.properties.uppercaseMapping : String(scalar)
    }
  }

  /// At least one cased scalar, and none that `isOther` holds for.
  func isAllCased(unless isOther: (Unicode.Scalar.Properties) -> Bool) -> Bool {
    var hasCased = false
    let isAll = allScalars { scalar in
      let properties = scalar.properties
      if isOther(properties) || properties.generalCategory == .titlecaseLetter { return false }
      hasCased = hasCased || properties.isLowercase || properties.isUppercase
      return true
    }
    return isAll && hasCased
  }

  /// A sigma at the end of a word has a form of its own.
  private func lowercase(_ scalar: Unicode.Scalar, at offset: Int) -> String {
    guard scalar == "\u{3a3}" else { return scalar.properties.lowercaseMapping }
    var before = offset
    var followsCased = false
    while before > 0 {
      before = start(before: before)
      let properties = self.scalar(at: before).properties
      if properties.isCaseIgnorable { continue }
      followsCased = properties.isCased
      break
    }
    var after = offset + 2
    while after < bytes.count {
      let properties = self.scalar(at: after).properties
      if properties.isCaseIgnorable {
        after += Self.width(bytes[after])
        continue
      }
      return followsCased && !properties.isCased ? "\u{3c2}" : "\u{3c3}"
    }
    return followsCased ? "\u{3c2}" : "\u{3c3}"
  }
}
