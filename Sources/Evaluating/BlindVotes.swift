import Core
import Files
import JSON

/// Votes of a person who saw base's and tuned's answers side by side without knowing which was which.
public struct BlindVotes: Sendable, Equatable {
  public enum Side: String, Sendable, CaseIterable {
    case left, right, tie
  }

  /// Of the `compare.json` that they are about.
  public var comparison: Digest
  /// By item, from 0; items that nobody voted on are not there.
  public var votes: [Int: Side]

  public init(comparison: Digest, votes: [Int: Side]) {
    self.comparison = comparison
    self.votes = votes
  }

  /// For each item, whether tuned stands on the left: drawn from the seed and from what is compared, so that the sides of
  /// one comparison say nothing of another's.
  public static func tunedIsLeft(_ count: Int, comparison: Digest, seed: UInt64) -> [Bool] {
    let own = UInt64(comparison.hex.prefix(16), radix: 16) ?? 0
    var random = SeededGenerator(seed: seed ^ own, stream: 0x7369_6465)
    return (0..<count).map { _ in random.below(2) == 1 }
  }

  /// Reads the file that the page of a blind comparison gives.
  ///
  /// Throws `badData` for a file that is something else.
  public init(path: String) throws {
    let value = try parseJSONFile(path, limit: 64 << 20)
    guard value["kind"]?.string == "sft-votes", let hex = value["comparison"]?.string,
      let digest = Digest(hex: hex), let entries = value["votes"]?.array
    else {
      throw SFTError(
        .badData, "is not a file of votes", file: path,
        advice: "Open compare.html of a comparison made with \(OptionName.blind), vote, and download the votes")
    }
    comparison = digest
    votes = [:]
    for (index, entry) in entries.enumerated() {
      guard let item = entry["item"]?.int, let side = entry["vote"]?.string.flatMap(Side.init), item >= 0 else {
        throw SFTError(.badData, "vote \(index + 1) is not an item with left, right or tie", file: path)
      }
      guard votes.updateValue(side, forKey: item) == nil else {
        throw SFTError(.badData, "holds two votes on item \(item)", file: path)
      }
    }
  }
}

/// What blind votes say once it is known which answer was whose.
public struct VoteCount: Sendable, Equatable, Codable {
  public struct Item: Sendable, Equatable, Codable {
    /// From 0.
    public var item: Int
    public var preferred: Comparison.Preference
  }

  public var questions: Int
  public var count: Comparison.PreferenceCount
  public var items: [Item]

  /// Throws `badData` for votes on another comparison than the one with that digest, or on items that it has not.
  public init(_ ballot: BlindVotes, on comparison: Comparison, digest: Digest, file: String) throws {
    guard ballot.comparison == digest else {
      throw SFTError(
        .badData, "the votes are on another comparison (\(ballot.comparison.short)) than this one (\(digest.short))",
        file: file)
    }
    questions = comparison.items.count
    if let stray = ballot.votes.keys.filter({ $0 >= comparison.items.count }).min() {
      throw SFTError(
        .badData, "holds a vote on item \(stray), but the comparison has \(comparison.items.count) items", file: file)
    }
    let left = BlindVotes.tunedIsLeft(questions, comparison: digest, seed: comparison.settings.generation.seed)
    items = ballot.votes.sorted { $0.key < $1.key }.map { item, side in
      let preferred: Comparison.Preference =
        switch side {
        case .tie: .tie
        case .left: left[item] ? .tuned : .base
        case .right: left[item] ? .base : .tuned
        }
      return Item(item: item, preferred: preferred)
    }
    count = Comparison.PreferenceCount(items.map(\.preferred))
  }
}
