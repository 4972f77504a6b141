import Core

extension LineEditor {
  /// What draws the line anew on the terminal's line that it is on: the part around the cursor where it does not fit.
  package func drawing(prompt: String, columns: Int) -> String {
    // The last column stays free: some terminals go on to the next line from it.
    let room = max(4, columns - displayWidth(prompt) - 1)
    let wanted = min(Self.fitting(after, room / 4).width, room / 4)
    let head = Self.fitting(before.reversed(), room - wanted)
    let tail = Self.fitting(after, room - head.width)
    let column = displayWidth(prompt) + head.width
    return "\r\(prompt)\(head.cells.reversed().joined())\(tail.cells.joined())\u{1b}[K\r"
      + (column > 0 ? "\u{1b}[\(column)C" : "")
  }

  /// The whole line, for what stays on the screen once it is entered.
  package static func entered(_ line: String, prompt: String) -> String { "\r\(prompt)\(printable(line))\u{1b}[K\n" }

  /// As many of the first characters as have room, each as it is shown.
  private static func fitting(_ text: some Sequence<Character>, _ room: Int) -> (cells: [String], width: Int) {
    var cells: [String] = []
    var width = 0
    for character in text {
      let cell = cell(character)
      let own = displayWidth(cell)
      if width + own > room { break }
      cells.append(cell)
      width += own
    }
    return (cells, width)
  }

  private static func cell(_ character: Character) -> String {
    switch character {
    case "\n": "↵"
    case "\t": "    "
    default: printable(String(character))
    }
  }
}
