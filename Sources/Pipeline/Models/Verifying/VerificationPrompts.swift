import Core
import Files
import Kernels
import Models
import Tokenizing

/// The texts on which logits are compared.
enum VerificationPrompts {
  static let texts = [
    (name: "fact", text: "The capital of France is"),
    (name: "story", text: "Once upon a time, in a small village by the sea, there lived"),
    (name: "instruction", text: "Instruction: Name three primary colours.\n\nAnswer:"),
    (name: "sum", text: "Q: What is 17 + 25?\nA:"),
    (name: "digits", text: "3.14159265358979, 2.71828182845904, 1.41421356237309"),
    (name: "Python", text: "def add(a, b):\n    return a + b\n\n\nprint(add(2, "),
    (name: "JSON", text: #"{"name": "Ada", "born": 1815, "tags": ["#),
    (name: "Korean", text: "대한민국의 수도는 서울이고,"),
    (name: "Korean, longer", text: "오늘은 날씨가 좋아서 친구와 함께 공원에 갔습니다. 그런데"),
    (name: "marks", text: "Ünïcödé – “quotes”, naïve café 😀\t\n  two spaces"),
  ]

  /// A prompt is cut to so many tokens.
  static let longest = 48
}

/// A prompt as sft sees it.
struct VerificationPrompt {
  var name: String
  var text: String
  /// All that the tokenizer makes of the text, with what it writes before and after a text.
  var tokens: [Int32]
  /// What the model is given: the beginning of `tokens`, at least one.
  var ids: [Int32]
  /// The largest magnitude of a logit.
  var largest: Float = 0
}

/// What sft itself computes for the prompts.
struct VerificationReference {
  var prompts: [VerificationPrompt]
  /// V, the vocabulary's rows.
  var columns: Int
  /// [all prompts' tokens, V].
  var logits: NamelessFile

  /// In full precision, as the exported files have the weights, even where the session's are in 4 bits at run time.
  ///
  /// Throws `badData` where a logit is not a number, and what reading weights and writing a temporary file throw.
  init(_ session: InferenceSession) throws {
    let pass = try session.unquantizedPass()
    let configuration = pass.decoder.configuration
    let limit = min(
      VerificationPrompts.longest, configuration.contextLength, configuration.shortLength ?? .max)
    let tokenizer = session.base.tokenizer
    let encoder = tokenizer.makeEncoder()
    columns = configuration.vocabularySize
    logits = try NamelessFile()
    prompts = []
    for (name, text) in VerificationPrompts.texts {
      let tokens = tokenizer.begin(encoder.encode(text))
      let ids = Array(tokens.prefix(limit))
      // A vocabulary without these bytes makes nothing of them.
      guard !ids.isEmpty, ids.allSatisfy({ $0 >= 0 && $0 < columns }) else { continue }
      var prompt = VerificationPrompt(name: name, text: text, tokens: tokens + tokenizer.ending, ids: ids)
      try compute(&prompt, pass)
      prompts.append(prompt)
    }
    guard !prompts.isEmpty else {
      throw SFTError(.badData, "the tokenizer makes nothing of any of the texts that logits are compared on")
    }
  }

  private func compute(_ prompt: inout VerificationPrompt, _ pass: InferencePass) throws {
    let batch = Batch(sequence: prompt.ids, shortLength: pass.decoder.configuration.shortLength)
    var largest: Float = 0
    var failure: (any Error)?
    pass.forEachLogits(batch, rows: Array(prompt.ids.indices)) { _, row in
      guard failure == nil else { return }
      for logit in row { largest = logit.isFinite ? max(largest, logit.magnitude) : .infinity }
      do { try logits.append(UnsafeRawBufferPointer(row)) } catch { failure = error }
    }
    if let failure { throw failure }
    guard largest.isFinite else {
      throw SFTError(.badData, "sft's own logits of the prompt \"\(prompt.name)\" are not all numbers")
    }
    prompt.largest = largest
  }
}

extension InferenceSession {
  /// A pass of the same weights that no 4 bits at run time have changed.
  fileprivate func unquantizedPass() throws -> InferencePass {
    let compute = Compute(engine: pass.compute.engine, threads: threads)
    guard base.quantization != nil else { return InferencePass(base.decoder, adapter, compute) }
    let whole = try BaseModel(base.name, workspace: workspace.silent, compute: compute)
    let adapter = try adapterFolder.map { try whole.adapter($0, force: true) { _ in } }
    return InferencePass(whole.decoder, adapter, compute)
  }
}
