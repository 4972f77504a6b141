import Core

/// How another tool's logits for what was exported compare with sft's own.
public struct ExportVerification: Encodable, Sendable {
  /// Where the two take another token for the likeliest.
  public struct Disagreement: Encodable, Sendable, Equatable {
    /// Of a prompt's tokens, from 0.
    public var position: Int
    /// By how much sft's largest logit exceeds its logit of the other's token.
    public var margin: Double
  }

  public struct Prompt: Encodable, Sendable {
    public var name: String
    public var tokens: Int
    /// sft's logit of the largest magnitude.
    public var largestLogit: Double
    /// Largest difference of a logit; nil where the other's are not all numbers.
    public var difference: Double?
    /// Of the largest logit.
    public var relativeDifference: Double?
    /// Tokens after which both take the same one for the likeliest.
    public var sameToken: Int
    /// nil where that is all of them.
    public var firstDisagreement: Disagreement?
  }

  /// One way of computing, of which some tools have several.
  public struct Check: Encodable, Sendable {
    /// Empty where there is only one.
    public var name: String
    public var prompts: [Prompt]
  }

  /// A text that the other tool cuts into other tokens.
  public struct Tokenization: Encodable, Sendable {
    public var name: String
    public var text: String
    public var ids: [Int]
    public var otherIds: [Int]
  }

  /// With its version.
  public var tool: String
  public var checks: [Check]
  /// What the weights are written as, which the bound is for.
  public var type: String
  public var bound: Double
  /// The largest of all prompts; nil where a logit is not a number.
  public var relativeDifference: Double?
  public var isWithinBound: Bool
  /// Texts whose tokens were compared.
  public var comparedTokenizations: Int
  public var otherTokenizations: [Tokenization]

  init(_ answer: VerificationAnswer, of reference: VerificationReference, bound: VerificationBound) {
    tool = answer.tool
    type = bound.rawValue
    self.bound = bound.relative
    checks = answer.checks.map { check in
      Check(
        name: check.name,
        prompts: zip(reference.prompts, check.prompts).map { own, other in
          // Logits that are all zero leave nothing to be relative to.
          let scale = max(Double(own.largest), .leastNormalMagnitude)
          return Prompt(
            name: own.name, tokens: other.compared, largestLogit: Double(own.largest), difference: other.difference,
            relativeDifference: other.difference.map { $0 == 0 ? 0 : $0 / scale }, sameToken: other.agreeing,
            firstDisagreement: other.first)
        })
    }
    let relative = checks.flatMap(\.prompts).map(\.relativeDifference)
    relativeDifference = relative.contains(nil) ? nil : relative.compactMap(\.self).max()
    isWithinBound = relativeDifference.map { $0 <= bound.relative } ?? false
    comparedTokenizations = answer.tokens.count { $0 != nil }
    otherTokenizations = zip(reference.prompts, answer.tokens).compactMap { own, other in
      let ids = own.tokens.map(Int.init)
      guard let other, other != ids else { return nil }
      return Tokenization(name: own.name, text: own.text, ids: ids, otherIds: other)
    }
  }

  /// Rows of a table, its header first: of each prompt what is worst in any check.
  public var table: [[String]] {
    let header = ["prompt", "tokens", "largest logit", "difference", "relative", "same token"]
    let prompts = (checks.first?.prompts ?? []).indices.map { index in checks.map { $0.prompts[index] } }
    return [header]
      + prompts.compactMap { results in
        guard let first = results.first else { return nil }
        let worst = results.contains { $0.difference == nil } ? nil : results.compactMap(\.difference).max()
        let relative = results.compactMap(\.relativeDifference).max()
        let same = results.map(\.sameToken).min() ?? 0
        return [
          first.name, "\(first.tokens)", fixed(first.largestLogit, 3),
          worst.map { scientific($0, 1) } ?? "not a number",
          worst == nil ? "–" : relative.map { scientific($0, 1) } ?? "–",
          same == first.tokens ? "always" : "\(same) times",
        ]
      }
  }

  /// Sentences below the table.
  public var remarks: [String] {
    var remarks: [String] = []
    if checks.count > 1 {
      remarks += checks.map { check in
        let worst = check.prompts.map { $0.relativeDifference ?? .infinity }.max() ?? 0
        return "\(check.name): " + (worst.isFinite ? "\(scientific(worst, 1)) at most." : "not all numbers.")
      }
    }
    if let relativeDifference {
      remarks.append(
        "The logits of \(tool) are sft's to within \(scientific(relativeDifference, 1)) of the largest; "
          + "\(plainNumber(bound)) is allowed for weights in \(type).")
    }
    let others = checks.flatMap(\.prompts).compactMap { prompt in prompt.firstDisagreement.map { (prompt, $0) } }
    if let (prompt, first) = others.max(by: { $0.1.margin < $1.1.margin }) {
      remarks.append(
        "Not always the same token is the likeliest: of \"\(prompt.name)\" not after token \(first.position + 1), where sft's "
          + "leads by \(significant(first.margin, 2)).")
    }
    if !otherTokenizations.isEmpty {
      let names = otherTokenizations.map { "\"\($0.name)\"" }.joined(separator: ", ")
      remarks.append(
        "It cuts \(otherTokenizations.count) of \(comparedTokenizations) texts into other tokens than sft does: \(names)."
      )
    } else if comparedTokenizations > 0 {
      remarks.append("It cuts \(counted(comparedTokenizations, "text")) into the same tokens.")
    }
    return remarks
  }

  /// Throws `badData` where the logits are farther apart than the bound allows. `folder` is what was written.
  public func check(_ folder: String) throws {
    guard !isWithinBound else { return }
    let what =
      relativeDifference.map {
        "differ by \(scientific($0, 1)) of the largest, where \(plainNumber(bound)) is allowed for weights in \(type)"
      } ?? "are not all numbers"
    throw SFTError(.badData, "written, but the logits that \(tool) computes from it \(what)", file: folder)
  }
}
