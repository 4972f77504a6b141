import Core
import Files

/// The data files of a folder: of a dataset as the hub has it, or of what other tools call `train.jsonl` and `valid.jsonl`.
public struct DataFolder {
  /// Part of a dataset that is used for one purpose.
  public enum Split: String, Sendable, CaseIterable {
    case train, validation, test

    var words: Set<String> {
      switch self {
      case .train: ["train", "training"]
      case .validation: ["validation", "valid", "val", "dev"]
      case .test: ["test", "testing", "eval", "evaluation"]
      }
    }

    /// By any of its names.
    public init?(named name: String) {
      guard let split = Self.allCases.first(where: { $0.words.contains(name.lowercased()) }) else { return nil }
      self = split
    }
  }

  private static let endings = [".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv"]
  /// JSON that describes data or models.
  private static let descriptions: Set = [
    "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json",
    "generation_config.json",
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "package.json",
  ]
  private static let deepest = 4

  public let path: String
  /// Below `path`, in order, with what the names say that they are for.
  private let files: [(name: String, split: Split?)]
  private let hasArrow: Bool

  /// Throws `notFound` where there is no data file in the folder or below it.
  public init(_ path: String) throws {
    self.path = path
    var (names, others) = ([String](), [String]())
    try Self.list(path, "", depth: 0) { name in
      if Self.isData(name) { names.append(name) } else { others.append(name) }
    }
    files = names.map { ($0, Self.split(of: $0)) }
    hasArrow = others.contains { $0.hasSuffix(".arrow") }
    if files.isEmpty {
      throw SFTError(
        .notFound, "the folder has no data files (Parquet, JSON Lines, JSON, CSV, TSV)", file: path,
        advice: hasArrow
          ? "Its Arrow files are not read: save the dataset as Parquet, dataset.to_parquet(\"FILE.parquet\")" : nil)
    }
  }

  private static func list(_ path: String, _ below: String, depth: Int, _ body: (String) -> Void) throws {
    for name in try directoryEntries(path + "/" + below) where !name.hasPrefix(".") {
      let relative = below.isEmpty ? name : below + "/" + name
      switch try FileStatus(path + "/" + relative)?.kind {
      case .directory where depth < deepest: try list(path, relative, depth: depth + 1, body)
      case .file: body(relative)
      default: break
      }
    }
  }

  private static func isData(_ path: String) -> Bool {
    var name = lastPathComponent(path).lowercased()
    if descriptions.contains(name) || name.hasSuffix(".index.json") { return false }
    for ending in [".gz", ".zst"] where name.hasSuffix(ending) { name.removeLast(ending.count) }
    return endings.contains { name.hasSuffix($0) }
  }

  /// By the words of the file's name, else by those of the folders that it is in, the innermost first.
  private static func split(of path: String) -> Split? {
    for part in path.lowercased().split(separator: "/").reversed() {
      let words = part.split { !$0.isLetter }.map(String.init)
      if let split = Split.allCases.first(where: { !$0.words.isDisjoint(with: words) }) { return split }
    }
    return nil
  }

  /// Parts that are told apart by names.
  public var splits: [Split] { Split.allCases.filter { split in files.contains { $0.split == split } } }

  /// The paths of one part's files; of `train`, all files where no name says what it is for.
  ///
  /// Throws `notFound` where there is no such part, and where its files stand in several folders, which are sets of their own.
  public func files(_ split: Split) throws -> [String] {
    let found = splits.isEmpty && split == .train ? files : files.filter { $0.split == split }
    guard !found.isEmpty else {
      let there =
        splits.isEmpty ? "no file is named for what it is for" : "there are \(quotedList(splits.map(\.rawValue)))"
      throw SFTError(.notFound, "there is no \(split.rawValue) part; \(there)", file: path)
    }
    let folders = Set(found.map { parentPath($0.name) })
    guard folders.count == 1 || found.allSatisfy({ !$0.name.contains("/") }) else {
      throw SFTError(
        .notFound, "its files stand in several folders: \(quotedList(folders.sorted()))", file: path,
        advice: "Give one of those folders, or the files that are meant")
    }
    return found.map { path + "/" + $0.name }
  }
}
