import Core

/// Text for a terminal, broken into lines of at most `width` columns at spaces, or within a word that is longer. What a
/// terminal would act on is written as escapes.
func wrapped(_ text: String, _ width: Int) -> [String] {
  var lines: [String] = []
  for paragraph in printable(text).split(separator: "\n", omittingEmptySubsequences: false) {
    var line = ""
    for word in paragraph.split(separator: " ", omittingEmptySubsequences: false) {
      var word = Substring(word)
      if !line.isEmpty, displayWidth(line) + 1 + displayWidth(word) > width {
        lines.append(line)
        line = ""
      }
      while displayWidth(word) > width {
        var head = word.prefix(width)
        while displayWidth(head) > width { head = head.dropLast() }
        lines.append(String(head))
        word = word.dropFirst(max(1, head.count))
      }
      line += line.isEmpty ? word : " " + word
    }
    lines.append(line)
  }
  return lines
}

/// Spaces after it, up to `width` columns.
func padded(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(0, width - displayWidth(text)))
}

/// Spaces before it.
func paddedLeft(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - displayWidth(text))) + text
}

/// Without spaces at its end.
func trimmedRight(_ text: String) -> String {
  var text = text[...]
  while text.last == " " { text = text.dropLast() }
  return String(text)
}

/// Columns that text takes on a terminal: two for East Asian wide characters and emoji, none for what joins the one before.
func displayWidth(_ text: some StringProtocol) -> Int {
  text.reduce(0) { sum, character in
    guard let scalar = character.unicodeScalars.first else { return sum }
    if character == "\t" { return sum + 4 }
    let wide =
      (0x1100...0x115f).contains(scalar.value) || (0x2e80...0xa4cf).contains(scalar.value)
      || (0xac00...0xd7a3).contains(scalar.value) || (0xf900...0xfaff).contains(scalar.value)
      || (0xfe30...0xfe6f).contains(scalar.value) || (0xff00...0xff60).contains(scalar.value)
      || (0xffe0...0xffe6).contains(scalar.value) || (0x1f300...0x1faff).contains(scalar.value)
      || (0x20000...0x3fffd).contains(scalar.value)
    return sum + (wide || scalar.properties.isEmojiPresentation ? 2 : 1)
  }
}
