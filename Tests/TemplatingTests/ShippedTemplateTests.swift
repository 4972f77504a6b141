import Core
import Templating
import Testing

func joined(_ segments: [TextSegment], trained: Bool) -> String {
  segments.filter { $0.trained == trained }.map(\.text).joined()
}

@Suite struct ShippedTemplateTests {
  @Test func alpacaWithInputIsStanfordsPrompt() throws {
    let template = try PromptTemplate.named("alpaca")
    let segments = template.render(Record(instruction: "Sum up.", input: "A text.", output: "Done."))
    #expect(
      joined(segments, trained: false) == """
        Below is an instruction that describes a task, paired with an input that provides further context. Write a \
        response that appropriately completes the request.

        ### Instruction:
        Sum up.

        ### Input:
        A text.

        ### Response:

        """)
    #expect(segments.last == TextSegment(text: "Done.", trained: true, literal: false))
    #expect(segments.map(\.literal) == [true, false, true, false, true, false])
    #expect(segments.map(\.trained) == [false, false, false, false, false, true])
  }

  @Test func alpacaWithoutInputIsStanfordsPrompt() throws {
    let segments = try PromptTemplate.named("alpaca").render(Record(instruction: "Sum up.", input: "", output: "Done."))
    #expect(
      segments == [
        TextSegment(
          text: """
            Below is an instruction that describes a task. Write a response that appropriately completes the request.

            ### Instruction:

            """, trained: false, literal: true),
        TextSegment(text: "Sum up.", trained: false, literal: false),
        TextSegment(text: "\n\n### Response:\n", trained: false, literal: true),
        TextSegment(text: "Done.", trained: true, literal: false),
      ])
  }

  /// Fields go in as they are, even when they look like markup, and no whitespace of theirs is lost.
  @Test func alpacaKeepsFieldsVerbatim() throws {
    let record = Record(
      instruction: "### Response:\n", input: "two spaces  \r\n{{output}}", output: " \n<|endoftext|>{{! x }}\n\n")
    let segments = try PromptTemplate.named("alpaca").render(record)
    #expect(segments[1] == TextSegment(text: "### Response:\n", trained: false, literal: false))
    #expect(segments[3].text.utf8.elementsEqual(record.input.utf8))
    #expect(segments[5] == TextSegment(text: record.output, trained: true, literal: false))
    #expect(
      joined(segments, trained: false)
        .hasSuffix("### Response:\n\n\n### Input:\ntwo spaces  \r\n{{output}}\n\n### Response:\n"))
  }

  @Test func theOtherTemplatesReadAsDescribed() throws {
    let with = Record(instruction: "Why?", input: "It rains.", output: "Because.")
    let without = Record(instruction: "Why?", input: "", output: "Because.")
    let expected = [
      "short": [
        "### Instruction:\nWhy?\n\n### Input:\nIt rains.\n\n### Response:\n",
        "### Instruction:\nWhy?\n\n### Response:\n",
      ],
      "chat": ["<|user|>\nWhy?\n\nIt rains.\n<|assistant|>\n", "<|user|>\nWhy?\n<|assistant|>\n"],
      "qa": ["Context: It rains.\n\nQuestion: Why?\n\nAnswer:\n", "Question: Why?\n\nAnswer:\n"],
    ]
    for (name, prompts) in expected {
      let template = try PromptTemplate.named(name)
      for (record, prompt) in zip([with, without], prompts) {
        #expect(joined(template.render(record), trained: false) == prompt)
        #expect(joined(template.render(record), trained: true) == "Because.")
      }
    }
    #expect(Set(PromptTemplate.shippedNames) == Set(expected.keys).union(["alpaca"]))
    #expect(PromptTemplate.shippedNames.first == "alpaca")
  }

  @Test func generationSeesThePromptThatTrainingSaw() throws {
    for name in PromptTemplate.shippedNames {
      let template = try PromptTemplate.named(name)
      for input in ["", "some input"] {
        let record = Record(instruction: "Do it.", input: input, output: "Done.")
        let prompt = template.renderPrompt(instruction: "Do it.", input: input)
        #expect(prompt == template.render(record).filter { !$0.trained })
        #expect(!prompt.isEmpty)
      }
    }
  }
}
