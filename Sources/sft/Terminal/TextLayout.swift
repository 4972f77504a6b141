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

/// Text whose lines that are longer than `width` columns are broken at spaces. What goes on is indented as the second
/// column of a line such as "optimiser   AdamW". A word that is longer stays whole, and so does a command in `backticks`:
/// it can be copied.
package func folded(_ text: String, _ width: Int) -> String {
  text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
    guard displayWidth(line) > width else { return String(line) }
    let words = wordsAndCommands(line)
    let indent = secondColumn(line)
    var lines = [words[0]]
    for word in words.dropFirst() {
      let last = lines[lines.count - 1]
      if displayWidth(last) + 1 + displayWidth(word) <= width || displayWidth(last) < indent {
        lines[lines.count - 1] = last + " " + word
      } else {
        lines.append(String(repeating: " ", count: indent) + word)
      }
    }
    return lines.map(trimmedRight).joined(separator: "\n")
  }.joined(separator: "\n")
}

/// What is between spaces, with what is in `backticks` as one.
private func wordsAndCommands(_ line: Substring) -> [String] {
  var words: [String] = []
  for part in line.split(separator: " ", omittingEmptySubsequences: false) {
    if let last = words.last, last.count(where: { $0 == "`" }) % 2 == 1 {
      words[words.count - 1] = last + " " + part
    } else {
      words.append(String(part))
    }
  }
  return words
}

/// Where the text begins behind a first word and at least two spaces; 0 for a line that is not of that kind.
private func secondColumn(_ line: Substring) -> Int {
  guard let space = line.firstIndex(of: " "), line[space...].hasPrefix("  ") else { return 0 }
  return displayWidth(line[..<(line[space...].firstIndex { $0 != " " } ?? space)])
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
package func displayWidth(_ text: some StringProtocol) -> Int {
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
