import Testing
import sft

/// The line editor as a terminal drives it: bytes in, text, cursor and drawing out.
@Suite struct LineEditorTests {
  private static let (left, right, up, down) = ("\u{1b}[D", "\u{1b}[C", "\u{1b}[A", "\u{1b}[B")

  /// What came of the bytes, without mere edits.
  @discardableResult
  private static func type(_ text: String, _ editor: inout LineEditor) -> [LineEditor.Event] {
    text.utf8.map { editor.take($0) }.filter { $0 != .edited }
  }

  /// The line after the bytes, the cursor as |.
  private static func line(_ typed: String) -> String {
    var editor = LineEditor()
    #expect(type(typed, &editor) == [])
    return editor.before + "|" + editor.after
  }

  @Test(arguments: [
    ("ab", "ab|"), ("ab\(left)c", "ac|b"), ("ab\(left)\(left)\(left)c\(right)d", "cad|b"),
    ("ab\u{1b}[Hc\u{1b}[Fd", "cabd|"), ("ab\u{1b}[1~c\u{1b}[4~d", "cabd|"), ("ab\u{1b}OHc\u{1b}OFd", "cabd|"),
    ("ab\u{1}c\u{5}d", "cabd|"), ("ab\u{2}c\u{6}d", "acbd|"), ("ab\u{7f}c", "ac|"), ("\u{7f}\u{8}a", "a|"),
    ("abc\(left)\(left)\u{1b}[3~", "a|c"), ("abc\(left)\(left)\u{4}", "a|c"), ("abc\(left)\u{b}", "ab|"),
    ("abc\(left)\u{15}", "|c"), ("one two  \u{17}x", "one x|"), ("one two\u{1b}bx", "one x|two"),
    ("one two\u{1}\u{1b}fx", "onex| two"), ("one two\u{1b}[1;5Dx", "one x|two"), ("a\u{1b}\u{7f}b", "b|"),
  ]) func keysEdit(_ typed: String, _ expected: String) { #expect(Self.line(typed) == expected) }

  @Test func aCharacterIsWhatPeopleSeeAsOne() {
    // Composed, of three Jamo, and with a joiner.
    #expect(Self.line("배나무\u{7f}") == "배나|")
    #expect(Self.line("가\u{1112}\u{1161}\u{11ab}\u{7f}x") == "가x|")
    #expect(Self.line("가\u{1112}\u{1161}\u{11ab}\(Self.left)x") == "가x|\u{1112}\u{1161}\u{11ab}")
    #expect(Self.line("a👩‍👧\u{7f}") == "a|")
  }

  @Test func bytesThatAreNoTextAreLeftOut() {
    var editor = LineEditor()
    let broken: [[UInt8]] = [
      [0xff, 0x61], [0xe2, 0x82, 0x62], [0xc0, 0x80, 0x63], [0xed, 0xa0, 0x80, 0x64], [0xc2, 0x9b, 0x65],
    ]
    for byte in broken.joined() { #expect(editor.take(byte) == .edited) }
    #expect(editor.text == "abcde")
    // Keys that do nothing, and a sequence without an end.
    #expect(Self.line("a\u{1b}[15~b\u{1b}[<0;1;1Mc\u{1b}[\u{1}d\u{0}\u{1c}e") == "de|abc")
    #expect(Self.line("a\u{1b}[" + String(repeating: "1;", count: 1000) + "~b") == "ab|")
  }

  @Test func aPasteIsTextAndEntersNothing() {
    var editor = LineEditor()
    #expect(Self.type("a\u{1b}[200~b\r\nc\rd\n\u{3}\u{4}\u{1}e\tf\u{1b}[201~", &editor) == [])
    #expect(editor.text == "ab\nc\nd\ne\tf")
    #expect(Self.type("\r", &editor) == [.accepted("ab\nc\nd\ne\tf")])
    #expect(Self.line("a\u{1b}\rb") == "a\nb|")
  }

  @Test func linesAndEndsAreEvents() {
    var editor = LineEditor()
    #expect(Self.type("one\rtwo\n", &editor) == [.accepted("one"), .accepted("two")])
    #expect(
      Self.type("\u{3}abc\u{3}\u{3}", &editor)
        == [.interrupted(wasEmpty: true), .interrupted(wasEmpty: false), .interrupted(wasEmpty: true)])
    #expect(Self.type("a\u{4}\u{7f}\u{4}", &editor) == [.ended])
    #expect(Self.type("\u{c}\u{1a}", &editor) == [.cleared, .suspended])
  }

  @Test func historyGoesBackAndForth() {
    var editor = LineEditor()
    Self.type("one\rtwo\rtwo\r\rdraft", &editor)
    let shown = [Self.up, Self.up, Self.up, Self.down, Self.down, Self.down].map { key in
      Self.type(key, &editor)
      return editor.text
    }
    #expect(shown == ["two", "one", "one", "two", "draft", "draft"])
    Self.type("\(Self.up)\u{7f}\r", &editor)
    Self.type(Self.up, &editor)
    #expect(editor.text == "tw")
  }

  @Test func theCursorStandsBehindWideCharacters() {
    var editor = LineEditor()
    #expect(editor.drawing(prompt: "> ", columns: 20) == "\r> \u{1b}[K\r\u{1b}[2C")
    Self.type("배a", &editor)
    #expect(editor.drawing(prompt: "> ", columns: 20) == "\r> 배a\u{1b}[K\r\u{1b}[5C")
    Self.type("\u{1b}\r\(Self.left)\(Self.left)", &editor)
    #expect(editor.drawing(prompt: "> ", columns: 20) == "\r> 배a↵\u{1b}[K\r\u{1b}[4C")
  }

  @Test func whatWouldActOnTheTerminalIsShownAsEscapes() {
    var editor = LineEditor()
    Self.type("a\u{202e}\u{1b}[200~\n\t\u{1b}[201~", &editor)
    #expect(editor.drawing(prompt: "", columns: 40) == "\ra\\u{202e}↵    \u{1b}[K\r\u{1b}[14C")
    #expect(LineEditor.entered("a\u{202e}", prompt: "> ") == "\r> a\\u{202e}\u{1b}[K\n")
  }

  @Test(arguments: [10, 11, 20]) func aLongLineIsShownAroundTheCursor(_ columns: Int) {
    var editor = LineEditor()
    let text = (0..<40).map { $0 % 3 == 0 ? "배" : "\($0 % 10)" }.joined()
    Self.type(text, &editor)
    for _ in 0...40 {
      let drawing = editor.drawing(prompt: "> ", columns: columns)
      let shown = drawing.dropFirst().prefix { $0 != "\u{1b}" }
      #expect(shown.hasPrefix("> ") && text.contains(shown.dropFirst(2)))
      #expect(displayWidth(shown) < columns && displayWidth(shown) >= columns - 3)
      // The cursor stands behind the part of the text before it that is shown.
      let column = Int(drawing.dropLast().split(separator: "[").last ?? "") ?? -1
      let head = shown.reversed().reduce(into: (width: displayWidth(shown), text: String(shown))) { head, _ in
        if head.width > column { head.text.removeLast() }
        head.width = displayWidth(head.text)
      }
      #expect(head.width == column && editor.before.hasSuffix(head.text.dropFirst(2)))
      Self.type(Self.left, &editor)
    }
  }
}
