import Core
import Files
import JSON
import Templating
import TestSupport
import Testing
import Tokenizing

/// Every rendering of Fixtures/chat_cases.json, as transformers makes it.
@Suite struct ChatReferenceTests {
  private struct Reference {
    let templates: [(name: String, template: ChatTemplate, marks: [String])]
    let conversations: [JSONValue]
    let cases: [JSONValue]
    let tokenizer: Tokenizer
  }

  private static func folder() -> String {
    var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    parts.removeLast()
    return parts.joined(separator: "/") + "/Fixtures"
  }

  private func read() throws -> Reference {
    let root = try parseJSONFile(Self.folder() + "/chat_cases.json")
    let templates = try (root["templates"]?.object?.members ?? []).map { name, value in
      let source = try #require(value["template"]?.string)
      let bos = try #require(value["bos_token"]?.string)
      let eos = try #require(value["eos_token"]?.string)
      let template = try ChatTemplate(
        source: source, name: name, specialTokens: ["bos_token": bos, "eos_token": eos])
      return (name, template, [bos, eos] + (value["marks"]?.array ?? []).compactMap(\.string))
    }
    return Reference(
      templates: templates, conversations: root["conversations"]?.array ?? [], cases: root["cases"]?.array ?? [],
      tokenizer: try Tokenizer(folder: Self.folder()))
  }

  private func render(_ sample: JSONValue, _ reference: Reference) throws -> [RenderedPiece] {
    let conversation = reference.conversations[try #require(sample["conversation"]?.int)]
    let found = reference.templates.first { $0.name == sample["template"]?.string }
    let template = try #require(found).template
    let date = try #require(PinnedDate("2024-07-26"))
    return try template.render(
      messages: conversation["messages"]?.array ?? [], tools: conversation["tools"],
      addGenerationPrompt: sample["add_generation_prompt"]?.bool ?? false, date: date)
  }

  @Test func textsAndErrorsAreThoseOfTransformers() throws {
    let reference = try read()
    #expect(reference.cases.count == 840)
    for sample in reference.cases {
      let place = "\(sample["template"]?.string ?? "") \(sample["conversation"]?.int ?? -1)"
      do {
        let text = try render(sample, reference).text
        #expect(sample["text"]?.string.map { text.utf8.elementsEqual($0.utf8) } == true, "\(place): \(text)")
      } catch let failure as ChatTemplateFailure {
        let expected = try #require(sample["error"]?.string, "\(place): \(failure)")
        // transformers ends its own messages with a full stop.
        #expect(expected == failure.message || expected == failure.message + ".", "\(place)")
      }
    }
  }

  @Test func idsAreThoseOfTransformersWhereDataNamesNoSpecialToken() throws {
    let reference = try read()
    let marks = reference.templates.flatMap(\.marks)
    let encoder = reference.tokenizer.makeEncoder()
    var compared = 0
    for sample in reference.cases {
      guard let expected = sample["ids"]?.array?.compactMap(\.int) else { continue }
      let data = reference.conversations[sample["conversation"]?.int ?? 0].serialized
      if marks.contains(where: { data.contains($0) }) { continue }
      var ids: [Int32] = []
      encoder.encode(
        try render(sample, reference).map { TextPiece(text: $0.text, recognisesSpecialTokens: $0.isLiteral) },
        into: &ids)
      #expect(ids.map(Int.init) == expected)
      compared += 1
    }
    #expect(compared > 80)
  }

  @Test func markedTokensAreThoseThatTouchAGeneration() throws {
    let reference = try read()
    var marked = 0
    for sample in reference.cases {
      guard let mask = sample["mask"]?.array?.compactMap(\.int), let ids = sample["ids"]?.array?.compactMap(\.int)
      else {
        continue
      }
      let inside = try render(sample, reference).flatMap { piece in
        [Bool](repeating: piece.inGeneration, count: piece.text.utf8.count)
      }
      var start = 0
      for (id, expected) in zip(ids, mask) {
        let end = start + (reference.tokenizer.token(Int32(id))?.count ?? 0)
        #expect(inside[start..<end].contains(true) == (expected == 1))
        marked += expected
        start = end
      }
      #expect(start == inside.count)
    }
    #expect(marked > 1000)
  }
}
