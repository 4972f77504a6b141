import Core
import JSON

/// What a script answers, checked against what it was asked.
struct VerificationAnswer {
  struct Prompt {
    /// nil where a logit is not a number.
    var difference: Double?
    /// Tokens after which logits were compared; a tool may cut a prompt further.
    var compared: Int
    /// Tokens after which the largest logit is the same one.
    var agreeing: Int
    var first: ExportVerification.Disagreement?
  }

  var tool: String
  var checks: [(name: String, prompts: [Prompt])]
  /// What the other tool's tokenizer makes of each text; nil where it was not asked.
  var tokens: [[Int]?]

  /// Packages that a script's Python lacks, as pip names them. Throws `badData` for another answer.
  static func missing(_ answer: JSONValue) throws -> [String] {
    let names = answer["missing"]?.array?.compactMap(\.string)
    guard let names, names.count == answer["missing"]?.array?.count else {
      throw malformed("which packages are missing")
    }
    return names
  }

  /// Throws `badData`, naming it, for what is not there or does not fit.
  init(_ answer: JSONValue, for prompts: [VerificationPrompt]) throws {
    guard let tool = answer["tool"]?.string, !tool.isEmpty else { throw Self.malformed("the tool's name") }
    self.tool = String(printable(tool).prefix(200))
    guard let checks = answer["checks"]?.array, !checks.isEmpty else { throw Self.malformed("a list of checks") }
    self.checks = try checks.map { check in
      guard let name = check["name"]?.string else { throw Self.malformed("a check's name") }
      guard let results = check["prompts"]?.array, results.count == prompts.count else {
        throw Self.malformed("a result for each of \(prompts.count) prompts")
      }
      return (String(printable(name).prefix(100)), try zip(results, prompts).map { try Self.prompt($0, of: $1) })
    }
    guard let tokens = answer["tokens"]?.array, tokens.count == prompts.count else {
      throw Self.malformed("tokens for each of \(prompts.count) prompts")
    }
    self.tokens = try tokens.map { list in
      if list.isNull { return nil }
      guard let ids = list.array?.map(\.int), let whole = ids as? [Int] else {
        throw Self.malformed("a list of tokens")
      }
      return whole
    }
  }

  private static func prompt(_ result: JSONValue, of prompt: VerificationPrompt) throws -> Prompt {
    guard let count = result["compared"]?.int, (1...prompt.ids.count).contains(count) else {
      throw malformed("the number of tokens compared")
    }
    let difference = result["difference"]?.double
    guard let value = result["difference"], value.isNull || difference.map({ $0 >= 0 }) ?? false else {
      throw malformed("a difference")
    }
    guard let agreeing = result["agreeing"]?.int, (0...count).contains(agreeing) else {
      throw malformed("the number of tokens that agree")
    }
    guard agreeing < count else { return Prompt(difference: difference, compared: count, agreeing: agreeing) }
    guard let position = result["position"]?.int, (0..<count).contains(position),
      let margin = result["margin"]?.double, margin >= 0
    else { throw malformed("where the largest logits are not the same") }
    return Prompt(
      difference: difference, compared: count, agreeing: agreeing,
      first: ExportVerification.Disagreement(position: position, margin: margin))
  }

  private static func malformed(_ what: String) -> SFTError {
    SFTError(.badData, "the answer of Python lacks \(what), or has it otherwise than expected")
  }
}
