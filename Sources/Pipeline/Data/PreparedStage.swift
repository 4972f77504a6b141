import Artifacts
import Core
import Files
import SampleEncoding

/// Stage 3: which records are kept, how far their prompts are cut, and which are for validation. Small: the tokens stay in
/// the artifacts of stage 2.
enum PreparedStage {
  static let name = "prepared"
  /// 4: from tokens of version 4.
  static let version = 4
  static let indexFile = "index.zst"

  /// What decides the outcome, besides the tokens.
  struct Settings {
    var maxLength: Int
    var overlong: OverlongPolicy
    /// Share of the records taken for validation, where no file of them is given.
    var validationShare: Double
    var seed: UInt64
    var removesDuplicates: Bool
    /// Whether a prompt's start may be cut off: not where a chat template has laid it out.
    var cutsPrompts: Bool
  }

  /// One kept sample.
  struct Entry: BitwiseCopyable, Sendable, Equatable {
    /// Its number in its tokens artifact.
    var sample: UInt32
    /// Tokens cut from the prompt's left.
    var removed: UInt32
    /// 0 for the data file's samples, 1 for the validation file's.
    var source: UInt32
    var isValidation: UInt32
  }

  struct Selection {
    var entries: [Entry] = []
    var counts = PreparedSummary.Counts()
  }

  /// Fits, removes duplicates and splits. Throws `badData` with file and line for the first record that is too long, where
  /// that is asked for.
  static func select(
    _ data: [TokenEntry], _ validation: [TokenEntry]?, files: [String], validationFiles: [String], _ settings: Settings
  ) throws -> Selection {
    var selection = Selection()
    let held = try validation.map { try fit($0, source: 1, files: validationFiles, settings, &selection.counts) } ?? []
    var kept = try fit(data, source: 0, files: files, settings, &selection.counts)
    let contents = Content.each(of: data)
    func content(_ entry: Entry) -> Content { contents[Int(entry.sample)] }
    // The first record of each content: the samples of one record are no duplicates of each other.
    let first = Dictionary(kept.map { (content($0), data[Int($0.sample)].record) }) { first, _ in first }
    // A record's samples stand together.
    let records = kept.indices.count { index in
      index == 0 || data[Int(kept[index].sample)].record != data[Int(kept[index - 1].sample)].record
    }
    selection.counts.duplicates = records - first.count
    if settings.removesDuplicates { kept.removeAll { first[content($0)] != data[Int($0.sample)].record } }
    let heldOut: Set<Content>
    if let validation {
      let validationContents = Content.each(of: validation)
      heldOut = Set(held.map { validationContents[Int($0.sample)] })
      let before = kept.count
      kept.removeAll { heldOut.contains(content($0)) }
      selection.counts.alsoInValidation = before - kept.count
    } else {
      heldOut = split(kept.map(content), settings)
    }
    for index in kept.indices where heldOut.contains(content(kept[index])) { kept[index].isValidation = 1 }
    selection.entries = kept + held
    return selection
  }

  /// What a record is, for finding equals.
  private struct Content: Hashable {
    var hash: UInt64
    var otherHash: UInt64

    /// Of each sample, the content of its record: of all the record's samples.
    static func each(of entries: [TokenEntry]) -> [Content] {
      var contents: [Content] = []
      contents.reserveCapacity(entries.count)
      while contents.count < entries.count {
        let first = entries[contents.count]
        let samples = entries[contents.count...].prefix { $0.record == first.record }
        let content = samples.dropFirst().reduce(Content(hash: first.hash, otherHash: first.otherHash)) {
          Content(
            hash: SeededGenerator.mix($0.hash ^ $1.hash), otherHash: SeededGenerator.mix($0.otherHash &+ $1.otherHash))
        }
        contents += repeatElement(content, count: samples.count)
      }
      return contents
    }
  }

  /// Equal records go together, so that none is on both sides. At least one record stays for training.
  private static func split(_ contents: [Content], _ settings: Settings) -> Set<Content> {
    let wanted = min(Int((Double(contents.count) * settings.validationShare).rounded()), contents.count - 1)
    guard wanted > 0 else { return [] }
    var counts: [Content: Int] = [:]
    var distinct: [Content] = []
    for content in contents {
      if counts[content] == nil { distinct.append(content) }
      counts[content, default: 0] += 1
    }
    var generator = SeededGenerator(seed: settings.seed, stream: 0x7370_6c69_74)
    var taken = Set<Content>()
    var total = 0
    for index in generator.permutation(distinct.count) {
      let count = counts[distinct[index]] ?? 0
      if total + count > wanted { continue }
      taken.insert(distinct[index])
      total += count
      if total == wanted { break }
    }
    return taken
  }

  private static func fit(
    _ samples: [TokenEntry], source: UInt32, files: [String], _ settings: Settings,
    _ counts: inout PreparedSummary.Counts
  ) throws -> [Entry] {
    var kept: [Entry] = []
    kept.reserveCapacity(samples.count)
    for (index, sample) in samples.enumerated() {
      let fit = FittingOutcome(
        tokens: Int(sample.tokenCount), prompt: Int(sample.promptCount), maxLength: settings.maxLength,
        overlong: settings.overlong, cutsPrompts: settings.cutsPrompts)
      switch fit {
      case .kept: kept.append(Entry(sample: UInt32(index), removed: 0, source: source, isValidation: source))
      case .truncated(let removed):
        counts.truncated += 1
        kept.append(Entry(sample: UInt32(index), removed: UInt32(removed), source: source, isValidation: source))
      case .dropped(.tooLong): counts.droppedTooLong += 1
      case .dropped(.answerTooLong): counts.droppedAnswerTooLong += 1
      case .refused:
        throw SFTError(
          .badData, "the record has \(sample.tokenCount) tokens, more than the maximum length of \(settings.maxLength)",
          file: Int(sample.file) < files.count ? files[Int(sample.file)] : nil, line: Int(sample.line),
          advice:
            "Use \(OptionName.overlong) drop or \(OptionName.overlong) truncate, or a larger \(OptionName.maxLength)")
      }
    }
    return kept
  }
}
