import Core
import Exporting
import Files
import JSON
import Models
import Weights

/// Loads what was exported with the tool that it is for, in a Python of the user's, and compares logits with sft's own.
public struct ExportVerifier {
  private let python: PythonInterpreter
  private let script: VerificationScript
  private let format: ExportFormat
  /// Seconds; nil for as long as a model of that size may take.
  private let timeLimit: Double?

  /// `python` is a path, or a name in `$PATH`. To be made before anything is written, so that what is missing is known then.
  ///
  /// Throws `notFound` where there is no such program, or where it lacks packages, naming them; `usage` for an adapter whose base
  /// the other tool cannot load; and what running the program throws.
  public init(_ python: String, for format: ExportFormat, of session: InferenceSession) throws {
    try self.init(python, for: format, of: session, timeLimit: nil)
  }

  package init(
    _ python: String, for format: ExportFormat, of session: InferenceSession, timeLimit: Double?
  ) throws {
    self.format = format
    self.timeLimit = timeLimit
    let checkpoint = session.base.checkpoint
    script = VerificationScript(format, quantized: !checkpoint.quantizedNames.isEmpty, onGGUF: checkpoint.isGGUF)
    guard format != .model || !checkpoint.isGGUF else {
      throw SFTError(
        .usage, "a GGUF file is exported as a copy, of which there is nothing to verify", file: session.base.folder,
        advice: "Leave \(OptionName.verify) out")
    }
    guard format != .ggufLoRA || checkpoint.quantizedNames.isEmpty else {
      throw SFTError(
        .usage, "the base is stored in 4 bits, which llama.cpp cannot load, so its adapter cannot be verified",
        file: session.base.folder)
    }
    self.python = try PythonInterpreter(python)
    let answer = try self.python.run(
      script.text, .object(JSONObject([("packages", script.packages)])), timeLimit: timeLimit ?? 120)
    let missing = try VerificationAnswer.missing(answer).map { String(printable($0).prefix(100)) }
    guard missing.isEmpty else {
      throw SFTError(
        .notFound, "\(python) lacks what \(format.rawValue) is loaded with: \(missing.joined(separator: ", "))",
        advice: "Install it with `\(python) -m pip install \(missing.joined(separator: " "))`, or leave "
          + "\(OptionName.verify) out")
    }
  }

  /// Compares what `export` has written to `folder`. For an adapter for llama.cpp its base is written beside `folder` first, in
  /// float32, and removed again.
  ///
  /// Throws `inputOutput` or `badData`, saying that the files are written, where the comparison cannot be made; logits that
  /// differ throw nothing here.
  public func verify(
    _ session: InferenceSession, _ outcome: ExportOutcome, in folder: String
  ) throws -> ExportVerification {
    do {
      let bound = try bound(session, outcome, folder)
      let reference = try VerificationReference(session)
      let answer = try ask(session, reference, outcome, folder)
      return ExportVerification(
        try VerificationAnswer(answer, for: reference.prompts), of: reference, bound: bound)
    } catch var error as SFTError where error.kind != .interrupted {
      let place = error.file.flatMap { $0 == folder ? nil : $0 + ": " } ?? ""
      error.message = "written, but not verified: \(place)\(error.message)"
      (error.file, error.line) = (folder, nil)
      throw error
    }
  }

  private func bound(
    _ session: InferenceSession, _ outcome: ExportOutcome, _ folder: String
  ) throws -> VerificationBound {
    switch format {
    // Written in float32, or as sft itself reads it.
    case .peft, .onnx, .model: .float32
    case .merged: try VerificationBound(folder: ModelCheckpoint(folder: folder))
    case .gguf, .ggufLoRA:
      VerificationBound(
        ggufTypes: (outcome.gguf?.types ?? [:]).keys, session.base.checkpoint.configuration.activation)
    }
  }

  private func ask(
    _ session: InferenceSession, _ reference: VerificationReference, _ outcome: ExportOutcome, _ folder: String
  ) throws -> JSONValue {
    func ask(_ model: String, adapter: String? = nil) throws -> JSONValue {
      let request = JSONObject([
        ("packages", script.packages), ("model", .string(model)),
        ("adapter", adapter.map { .string($0) } ?? .null), ("threads", .integer(session.threads)),
        ("columns", .integer(reference.columns)), ("prompts", .array(reference.prompts.map(\.asked))),
      ])
      return try python.run(
        script.text, .object(request), logits: reference.logits,
        timeLimit: timeLimit ?? Self.timeLimit(of: session.base))
    }
    guard let gguf = outcome.gguf else {
      return format == .peft ? try ask(session.base.folder, adapter: folder) : try ask(folder)
    }
    let file = folder + "/" + gguf.file
    guard format == .ggufLoRA else { return try ask(file) }
    return try withBase(of: session, beside: folder) { try ask($0, adapter: file) }
  }

  /// Ten minutes, and one more for each GB that the weights take in float32.
  private static func timeLimit(of base: BaseModel) -> Double {
    let values = base.decoder.configuration.expectedTensors.reduce(0.0) { sum, tensor in
      sum + tensor.shape.reduce(1.0) { $0 * Double($1) }
    }
    return 600 + 60 * (4 * values / 1e9).rounded(.up)
  }

  /// Hands `body` the base's own GGUF file in float32, of which nothing is left afterwards; the next export to `folder` removes
  /// what a killed process left.
  private func withBase<Result>(
    of session: InferenceSession, beside folder: String, _ body: (String) throws -> Result
  ) throws -> Result {
    let temporary = TemporaryName.make(beside: canonicalPath(folder) ?? folder)
    try createDirectory(temporary)
    defer { try? removeTree(temporary) }
    let lock = try? FileLock(temporary, .exclusive, .existing)
    return try withExtendedLifetime(lock) {
      guard !session.base.checkpoint.isGGUF else {
        // As sft computes with it: llama.cpp rounds what it multiplies the file's own blocks with.
        let file = temporary + "/base.gguf"
        try writeGGUFInFloat32(session.base.folder, to: file)
        return try body(file)
      }
      let decoder = session.base.quantization == nil ? session.base.decoder : try Decoder(session.base.checkpoint)
      let report = try exportGGUF(
        session.base.checkpoint, decoder, adapter: nil, tokenizer: try session.ggufTokenizer, dtype: .f32, name: "base",
        to: temporary + "/base", threads: session.threads)
      return try body("\(temporary)/base/\(report.file)")
    }
  }
}

extension VerificationPrompt {
  /// As the scripts are given it.
  fileprivate var asked: JSONValue {
    .object(JSONObject([("text", .string(text)), ("ids", .array(ids.map { .integer(Int($0)) }))]))
  }
}
