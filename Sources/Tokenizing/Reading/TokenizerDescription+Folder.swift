import Core
import Files

extension TokenizerDescription {
  /// What special tokens are called in a vocabulary like LLaMA's, for a folder that does not say so, as KoGPT2's: its card
  /// passes them by hand.
  private static let usualNames = ["<s>", "</s>", "<unk>", "<pad>", "<mask>"]

  init(folder: String, _ names: SpecialTokenNames) throws {
    self = try Self.read(folder, names)
    add(names.addedTokens)
    addSpecialTokens(named: names.all)
    if names.isUnspecified, letters == .characters { addSpecialTokens(named: Self.usualNames) }
    if let addPrefixSpace = names.addPrefixSpace { setAddPrefixSpace(addPrefixSpace) }
  }

  private static func read(_ folder: String, _ names: SpecialTokenNames) throws -> TokenizerDescription {
    let whole = "\(folder)/tokenizer.json"
    let vocabulary = "\(folder)/vocab.json"
    let merges = "\(folder)/merges.txt"
    let pieces = "\(folder)/tokenizer.model"
    if try fileExists(whole) { return try TokenizerJSON.read(whole) }
    switch (try fileExists(vocabulary), try fileExists(merges)) {
    case (true, true):
      var description = try VocabularyFiles.read(vocabulary: vocabulary, merges: merges)
      description.writeAround(names)
      return description
    case _ where try fileExists(pieces):
      // LLaMA's, Mistral's and Gemma's classes write the one and not the other where nothing is said.
      return try SentencePieceModel.read(
        pieces, addsBeginning: names.addsBeginning ?? true, addsEnd: names.addsEnd ?? false)
    case (true, false):
      throw SFTError(.notFound, "has a vocab.json, but neither its merges.txt nor a tokenizer.json", file: folder)
    case (false, true):
      throw SFTError(.notFound, "has a merges.txt, but neither its vocab.json nor a tokenizer.json", file: folder)
    case (false, false):
      throw SFTError(
        .notFound,
        "has no tokenizer: neither tokenizer.json nor vocab.json with merges.txt nor tokenizer.model is there",
        file: folder, advice: "Give a Hugging Face model folder")
    }
  }

  /// What `tokenizer_config.json` wants written around every text.
  private mutating func writeAround(_ names: SpecialTokenNames) {
    if names.addsBeginning == true { beginning = names.beginning.flatMap(id(of:)).map { [$0] } ?? [] }
    if names.addsEnd == true { ending = names.endOfText.flatMap { id(of: $0.content) }.map { [$0] } ?? [] }
  }
}
