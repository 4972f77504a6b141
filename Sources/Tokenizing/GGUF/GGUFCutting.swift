/// How text is cut into words, and what llama.cpp calls that (`tokenizer.ggml.pre`): the one table for writing and reading.
struct GGUFCutting {
  struct Name {
    var name: String
    /// Whether whole words are looked up before merging.
    var ignoresMerges = false
  }

  var steps: [PreTokenizer.Step]
  var names: [Name]
  var remark: String?

  /// What llama.cpp implements, and what it calls it. A name stands for a pattern and for whether merges are ignored; the
  /// names of equal ones differ in nothing that cuts text.
  static let all: [GGUFCutting] = {
    func isolated(_ pattern: WordPattern) -> PreTokenizer.Step {
      .split(Split(pattern: .regex(pattern), behavior: .isolated, inverted: false))
    }
    func nearly(_ name: String) -> String {
      "llama.cpp's pre-tokenizer '\(name)' tells capitals from small letters by A-Z and a-z alone, so words with other "
        + "capitals or with combining marks may be cut otherwise"
    }
    return [
      GGUFCutting(steps: [.words(.gpt2)], names: [Name(name: "gpt-2")]),
      GGUFCutting(steps: [.digits(individual: true), .words(.gpt2)], names: [Name(name: "smollm")]),
      GGUFCutting(
        steps: [.words(.modern(digits: 3))],
        names: [Name(name: "llama-bpe", ignoresMerges: true), Name(name: "dbrx")]),
      GGUFCutting(steps: [.words(.modern(digits: 1))], names: [Name(name: "qwen2")]),
      GGUFCutting(steps: [.words(.modernWithMarks)], names: [Name(name: "qwen35")]),
      GGUFCutting(
        steps: [.words(.cased(digits: 3, contractions: true))], names: [Name(name: "gpt-4o")],
        remark: nearly("gpt-4o")),
      GGUFCutting(
        steps: [.words(.cased(digits: 1, contractions: false))], names: [Name(name: "tekken", ignoresMerges: true)],
        remark: nearly("tekken")),
      GGUFCutting(
        steps: [isolated(.threeNumerals), isolated(.ideographs), isolated(.marksAndWords)],
        names: [Name(name: "deepseek-v3")]),
    ]
  }()

  /// Other names of the same, by the one above: what cuts text so, with the same use of merges.
  private static let otherNames: [String: [String]] = [
    "gpt-2": [
      "a.x-4.0", "exaone4", "gigachat", "granite-docling", "jina-de", "jina-es", "jina-v2-de", "jina-v2-es", "mellum",
      "modern-bert", "mpt", "olmo", "phi-2", "trillion",
    ],
    "smollm": ["codeshell", "command-r", "exaone", "mellum2", "minerva-7b", "refact", "starcoder"],
    "llama-bpe": [
      "falcon-h1", "falcon3", "glm4", "glm5", "jina-v5-nano", "lfm2", "llama-v3", "llama3", "midm-2.0", "pixtral",
    ],
    "dbrx": ["chatglm-bpe", "smaug-bpe"],
    "qwen2": ["deepseek-r1-qwen", "f2llmv2", "grok-2", "hunyuan", "kormo", "megrez", "solar-open", "stablelm2"],
    "gpt-4o": ["kanana2", "llama4", "minimax-m2", "talkie"],
    "deepseek-v3": ["hunyuan-dense", "hy_v4", "joyai-llm"],
  ]

  /// Which begin every text with a special token where no key says whether: the names of Llama 3's and of Mistral's.
  private static let beginning: Set<String> = [
    "falcon-h1", "falcon3", "jina-v5-nano", "lfm2", "llama-bpe", "llama-v3", "llama3", "midm-2.0", "pixtral", "tekken",
  ]

  /// What a name stands for; nil for one that is not known here.
  static func named(_ name: String) -> (steps: [PreTokenizer.Step], ignoresMerges: Bool, addsBeginning: Bool)? {
    let usual = otherNames.first { $0.value.contains(name) }?.key ?? name
    for cutting in all {
      guard let found = cutting.names.first(where: { $0.name == usual }) else { continue }
      return (cutting.steps, found.ignoresMerges, beginning.contains(name))
    }
    return nil
  }
}
