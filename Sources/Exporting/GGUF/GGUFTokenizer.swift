import GGUF

/// The tokenizer's part of a GGUF file, made by who knows tokenizers.
public struct GGUFTokenizer: Sendable {
  /// The keys `tokenizer.…`.
  public var metadata: GGUFMetadata
  /// Tokens that it lists: one for each row of the embedding.
  public var tokenCount: Int
  /// Texts of the tokens that end an answer.
  public var stops: [String]
  /// Special tokens take the white space after them along, which llama.cpp knows by the name of Phi-3.
  public var stripsAsPhi3: Bool
  /// What llama.cpp cuts otherwise, each a sentence without a full stop.
  public var remarks: [String]

  public init(
    metadata: GGUFMetadata, tokenCount: Int, stops: [String], stripsAsPhi3: Bool = false, remarks: [String] = []
  ) {
    self.metadata = metadata
    self.tokenCount = tokenCount
    self.stops = stops
    self.stripsAsPhi3 = stripsAsPhi3
    self.remarks = remarks
  }

  /// A model's name that means to llama.cpp what is meant: it lets a name with Phi-3 in it decide how special tokens are found,
  /// and does not load such a model with another tokenizer.
  func modelName(_ name: String) -> String {
    func mark(in text: some StringProtocol) -> String? {
      let lowered = text.lowercased()
      return ["phi-3", "phi3"].first { lowered.hasSuffix($0) }
    }
    let isNamed = name.indices.contains { mark(in: name[...$0]) != nil }
    guard isNamed != stripsAsPhi3 else { return name }
    if stripsAsPhi3 { return name + " (Phi-3)" }
    var result = ""
    for character in name {
      result.append(character)
      if let mark = mark(in: result) { result = result.dropLast(mark.count - 3) + " 3" }
    }
    return result
  }
}
