import Core
import Files
import Templating
import Testing

private func prompt(_ source: String, instruction: String = "I", input: String = "") throws -> String {
  try PromptTemplate(source: source, name: "t.txt").renderPrompt(instruction: instruction, input: input)
    .map(\.text).joined()
}

@Suite struct TemplateFormatTests {
  static let end = "{{#trained}}{{output}}{{/trained}}"

  @Test func sectionsFollowTheFields() throws {
    let source = "{{instruction}}{{#input}}[{{input}}{{^instruction}}!{{/instruction}}]{{/input}}{{^input}}-{{/input}}"
    #expect(try prompt(source + Self.end) == "I-")
    #expect(try prompt(source + Self.end, input: "x") == "I[x]")
    #expect(try prompt(source + Self.end, instruction: "", input: "x") == "[x!]")
  }

  @Test func tagsAloneOnTheirLineTakeTheLine() throws {
    #expect(try prompt("a\n  {{#input}}  \nb\n{{/input}}\nc {{instruction}}" + Self.end, input: "x") == "a\nb\nc I")
    #expect(try prompt("a\n{{! note\nof two lines }}\nc {{instruction}}" + Self.end) == "a\nc I")
    #expect(try prompt("{{! first }}\nc {{instruction}}" + Self.end) == "c I")
    #expect(try prompt("a {{! not alone }}\nc {{instruction}}" + Self.end) == "a \nc I")
    #expect(try prompt("a\n{{#input}}x{{/input}}\nc {{instruction}}" + Self.end) == "a\n\nc I")
    #expect(try prompt("a\n  {{instruction}}  \n" + Self.end) == "a\n  I  \n")
    #expect(try prompt("a\n\n{{#input}}\n\n{{/input}}\n\n{{instruction}}" + Self.end, input: "x") == "a\n\n\n\nI")
  }

  @Test func spacesInTagsDoNotMatter() throws {
    #expect(try prompt("{{ instruction }}{{# input }}{{input }}{{ / input}}" + Self.end, input: "x") == "Ix")
  }

  @Test func theTrainedPartMayHoldMoreThanTheAnswer() throws {
    let source = "{{instruction}}{{#trained}}A: {{output}}{{#input}} ({{input}}){{/input}}.{{/trained}}"
    let template = try PromptTemplate(source: source, name: "t")
    let segments = template.render(Record(instruction: "Q", input: "x", output: "y"))
    #expect(
      segments == [
        TextSegment(text: "Q", trained: false, literal: false), TextSegment(text: "A: ", trained: true, literal: true),
        TextSegment(text: "y", trained: true, literal: false), TextSegment(text: " (", trained: true, literal: true),
        TextSegment(text: "x", trained: true, literal: false), TextSegment(text: ").", trained: true, literal: true),
      ])
    #expect(template.renderPrompt(instruction: "Q", input: "x").map(\.text) == ["Q"])
  }

  @Test func oneFinalLineBreakIsDroppedAndWindowsOnesArePlain() throws {
    let plain = "a\n{{#input}}\nb\n{{/input}}\n{{instruction}}\n"
    for ending in ["", "\n", "\r\n"] {
      let source = (plain + Self.end + ending).split(separator: "\n", omittingEmptySubsequences: false)
      let windows = source.joined(separator: "\r\n")
      #expect(try prompt(windows, input: "x") == "a\nb\nI\n")
      #expect(try prompt("\u{feff}" + windows, input: "x") == "a\nb\nI\n")
    }
  }

  @Test func sourceIsKeptForDigests() throws {
    let source = "{{! v2 }}\r\n{{instruction}}" + Self.end + "\n"
    #expect(try PromptTemplate(source: source, name: "t").source.utf8.elementsEqual(source.utf8))
  }

  static let known = "{{instruction}}, {{input}}, {{output}} and the section trained."
  static let faults: [(source: String, message: String)] = [
    ("", "t.txt:1: is empty."),
    ("{{! only this }}\n", "t.txt:1: is empty."),
    ("{{instruction}}\n{{inputs}}" + end, "t.txt:2: the field \"inputs\" is unknown. The known ones are \(known)"),
    ("{{#inputs}}{{/inputs}}" + end, "t.txt:1: the field \"inputs\" is unknown. The known ones are \(known)"),
    (
      "{{instruction}}\n\nAnswer:\n",
      "t.txt:3: has no trained part. Write {{#trained}}{{output}}{{/trained}} around the answer."
    ),
    (
      "{{instruction}}\n" + end + "\n" + end,
      "t.txt:2: text follows the trained part, which must come last (a blank line is text)."
    ),
    ("{{instruction}}\n" + end + end, "t.txt:2: has a second trained part."),
    (
      "{{instruction}}{{#trained}}{{output}}\n" + end + "{{/trained}}",
      "t.txt:2: has a second trained part inside the first."
    ),
    (
      "{{instruction}}" + end + "\n\n",
      "t.txt:1: text follows the trained part, which must come last (a blank line is text)."
    ),
    (
      "{{instruction}}" + end + "{{input}}",
      "t.txt:1: text follows the trained part, which must come last (a blank line is text)."
    ),
    ("a\n{{#input}}\n{{instruction}}" + end, "t.txt:3: the trained part must not stand inside a section."),
    ("a\n{{#input}}b\n{{instruction}}", "t.txt:2: the section {{#input}} is not closed."),
    ("{{instruction}}\n{{#trained}}{{output}}", "t.txt:2: the section {{#trained}} is not closed."),
    ("{{#input}}\na\n{{/instruction}}" + end, "t.txt:3: {{/instruction}} closes the section {{#input}} of line 1."),
    ("{{instruction}}\n{{/input}}" + end, "t.txt:2: {{/input}} closes no section."),
    (
      "{{instruction}}{{output}}" + end,
      "t.txt:1: output must occur in the trained part only: the model would be shown the answer."
    ),
    (
      "{{#output}}x{{/output}}" + end,
      "t.txt:1: output must occur in the trained part only: the model would be shown the answer."
    ),
    (
      "{{instruction}}{{#trained}}x{{/trained}}",
      "t.txt:1: the trained part does not hold {{output}} outside of every section."
    ),
    (
      "{{instruction}}{{#trained}}{{#input}}{{output}}{{/input}}{{/trained}}",
      "t.txt:1: the trained part does not hold {{output}} outside of every section."
    ),
    ("Say:\n" + end, "t.txt:2: holds neither {{instruction}} nor {{input}} before the trained part."),
    ("a\n{{instruction", "t.txt:2: a tag that {{ opens is not closed by }}."),
    ("a{{}}" + end, "t.txt:1: the tag {{}} names no field."),
    ("{{instruction}}{{trained}}" + end, "t.txt:1: trained is a section: {{#trained}}…{{/trained}}."),
    ("{{instruction}}{{^trained}}{{output}}{{/trained}}", "t.txt:1: trained is a section: {{#trained}}…{{/trained}}."),
    ("{{the instruction}}" + end, "t.txt:1: the tag {{the instruction}} is not understood."),
    ("{{##input}}" + end, "t.txt:1: the tag {{##input}} is not understood."),
  ]

  @Test(arguments: faults) func refusesByLine(_ source: String, _ message: String) {
    do {
      _ = try PromptTemplate(source: source, name: "t.txt")
      Issue.record("accepted: \(source)")
    } catch {
      #expect("\(error)" == message)
      #expect((error as? SFTError)?.kind == .badData)
    }
  }
}

@Suite struct TemplateFileTests {
  private let path = "/tmp/sft-template-\(UInt64.random(in: 0 ... .max)).txt"

  private func failure(_ bytes: [UInt8]) throws -> String {
    try writeAtomically(bytes, to: path)
    defer { try? removeTree(path) }
    do {
      return "accepted: \(try PromptTemplate.named(path).source)"
    } catch {
      return "\(error)"
    }
  }

  @Test func readsAUsersFile() throws {
    let source = "Q {{instruction}}\n" + TemplateFormatTests.end
    try writeAtomically(source, to: path)
    defer { try? removeTree(path) }
    let template = try PromptTemplate.named(path)
    #expect(template.name == path)
    #expect(template.source == source)
    #expect(template.renderPrompt(instruction: "x", input: "").map(\.text).joined() == "Q x\n")
  }

  @Test func refusesFilesThatAreNoTemplates() throws {
    #expect(try failure(Array("a\nb\u{e9}\n".utf8) + [0xff]) == "\(path):3: is not valid UTF-8.")
    #expect(try failure([]) == "\(path):1: is empty.")
    #expect(
      try failure([UInt8](repeating: 0x61, count: PromptTemplate.sizeLimit + 1))
        == "\(path): is 1.0 MB long, and a template at most 1.0 MB.")
    #expect(try failure(Array("a\n{{b}}".utf8)).hasPrefix("\(path):2: the field \"b\" is unknown."))
  }

  @Test func namesTheKnownOnesWhenThereIsNone() {
    let expected = SFTError(
      .notFound, "there is no template and no file called \"alpacca\"",
      advice:
        "Give the path of a template file, or one of alpaca, short, chat, qa; for conversations the model's own as "
        + "model, or one of chatml, llama2, llama3, gemma, mistral, phi, zephyr, qwen")
    #expect(throws: expected) { try PromptTemplate.named("alpacca") }
  }
}
