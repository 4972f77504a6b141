import Core

extension GGUFVocabulary {
  /// Sets the name of the pre-tokenizer and the merges of BPE over bytes.
  mutating func setByteLevel(_ description: TokenizerDescription, _ model: TokenizerModel) throws {
    let file = description.vocabularyFile
    guard let cutting = GGUFCutting.all.first(where: { $0.steps == description.preTokenizer.steps }) else {
      let steps = description.preTokenizer.steps
      throw SFTError(
        .badData,
        steps.contains(.prefixSpace)
          ? "its pre-tokenizer writes a space before every text, which llama.cpp does not"
          : "its pre-tokenizer cuts text as no pre-tokenizer of llama.cpp does", file: file)
    }
    let variants = cutting.names
    let name = variants.first { $0.ignoresMerges == description.ignoreMerges }
    guard let name = name ?? (Self.mergesMakeEveryWord(description, model) ? variants.first : nil) else {
      throw SFTError(
        .badData,
        "it \(description.ignoreMerges ? "looks whole words up" : "does not look whole words up") before merging "
          + "(\"ignore_merges\"), and llama.cpp's pre-tokenizer '\(variants[0].name)' does otherwise", file: file)
    }
    preTokenizer = name.name
    if let remark = cutting.remark { remarks.append(remark) }
    try remarkOnNormalizer(description)
    try setMerges(description)
  }

  private func setsApart(_ text: String) -> Bool { text.utf8.contains(0x20) }

  private mutating func setMerges(_ description: TokenizerDescription) throws {
    if let merge = description.merges.first(where: { setsApart($0.left) || setsApart($0.right) }) {
      throw SFTError(
        .badData, "the merge of \(quoted(merge.left)) and \(quoted(merge.right)) holds a space, which GGUF cannot say",
        file: description.mergesFile)
    }
    merges = description.merges.map { $0.left + " " + $0.right }
  }

  /// llama.cpp takes text as it is.
  private mutating func remarkOnNormalizer(_ description: TokenizerDescription) throws {
    for step in description.normalizer.steps {
      guard case .unicode(let form) = step else {
        throw SFTError(
          .badData, "its normalizer changes text otherwise than to a form of Unicode, which llama.cpp does not",
          file: description.vocabularyFile)
      }
      remarks.append(
        "llama.cpp does not bring text to \(form.rawValue), as this tokenizer does: give it text in that form")
    }
  }

  /// Whether merging alone makes every token of the model out of its letters: then it does not matter whether whole words
  /// are looked up first. O(vocabulary).
  private static func mergesMakeEveryWord(_ description: TokenizerDescription, _ model: TokenizerModel) -> Bool {
    let merger = WordMerger(merges: model.merges, alphabet: model.alphabet)
    var ids: [Int32] = []
    for entry in description.vocabulary where !model.addedIDs.contains(Int32(truncatingIfNeeded: entry.id)) {
      guard let bytes = ByteAlphabet.bytes(of: entry.text), !bytes.isEmpty else { continue }
      ids.removeAll(keepingCapacity: true)
      bytes.withUnsafeBufferPointer { if let start = $0.baseAddress { merger.encode(start, $0.count, into: &ids) } }
      guard ids == [Int32(truncatingIfNeeded: entry.id)] else { return false }
    }
    return true
  }
}
