import Core
import Files
import Glibc
import JSON

/// Which files of a repository are fetched.
enum NeededFiles {
  private static let describing: Set = [
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "chat_template.jinja", "chat_template.json", "vocab.json", "merges.txt", "tokenizer.model", "added_tokens.json",
    "adapter_config.json", "quantize_config.json", "LICENSE", "LICENSE.txt", "README.md",
  ]
  static let index = "model.safetensors.index.json"
  private static let weights = ["model.safetensors", "adapter_model.safetensors"]
  private static let dataEndings = [".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv"]

  /// What a model is loaded from, but for the shards that an index names.
  ///
  /// Throws `notFound` where there are no weights in safetensors.
  static func ofModel(_ listing: RepositoryListing, place: String) throws -> [RepositoryListing.Entry] {
    let names = Set(listing.entries.map(\.path))
    let found = names.contains(index) ? [index] : weights.filter(names.contains)
    guard !found.isEmpty else {
      let others = [".bin", ".gguf", ".pth", ".safetensors"].filter { ending in names.contains { $0.hasSuffix(ending) }
      }
      throw SFTError(
        .notFound,
        "the repository has no model.safetensors"
          + (others.isEmpty ? " and no other weights" : ", only weights in \(quotedList(others)) of other names"),
        file: place,
        advice: others.contains(".bin")
          ? "Look for a revision with safetensors, such as refs/pr/1, and name it with \(OptionName.revision)"
          : "Name the files that are wanted with \(OptionName.include)")
    }
    return listing.entries.filter { describing.contains($0.path) || found.contains($0.path) }
  }

  /// The shards that an index names.
  ///
  /// Throws `badData` for one that is not there.
  static func shards(_ index: String, _ listing: RepositoryListing) throws -> [RepositoryListing.Entry] {
    let map = try parseJSONFile(index)["weight_map"]?.object?.members ?? []
    let names = Set(map.compactMap(\.value.string))
    guard !names.isEmpty else { throw SFTError(.badData, "the index names no file of weights", file: index) }
    return try names.sorted().map { name in
      guard let entry = listing[name] else {
        throw SFTError(.badData, "the index names \(quoted(name)), which the repository does not have", file: index)
      }
      return entry
    }
  }

  /// Files of records, and the card that describes them.
  ///
  /// Throws `notFound` where there are none.
  static func ofDataset(_ listing: RepositoryListing, place: String) throws -> [RepositoryListing.Entry] {
    let found = listing.entries.filter { entry in
      var name = lastPathComponent(entry.path).lowercased()
      for ending in [".gz", ".zst"] where name.hasSuffix(ending) { name.removeLast(ending.count) }
      return dataEndings.contains { name.hasSuffix($0) } && !name.hasPrefix(".")
    }
    guard !found.isEmpty else {
      throw SFTError(
        .notFound, "the repository has no files in Parquet, JSON, JSON Lines, CSV or TSV", file: place,
        advice: "The hub's own conversion may be there: \(OptionName.revision) refs/convert/parquet")
    }
    return found + listing.entries.filter { $0.path == "README.md" }
  }

  /// Files whose path is of one of the patterns: `*` for any letters, slashes too, `?` for one.
  ///
  /// Throws `notFound` where a pattern has none.
  static func matching(
    _ patterns: [String], _ listing: RepositoryListing, place: String
  ) throws -> [RepositoryListing.Entry] {
    for pattern in patterns where !listing.entries.contains(where: { fnmatch(pattern, $0.path, 0) == 0 }) {
      throw SFTError(.notFound, "no file of the repository is of the pattern \(quoted(pattern))", file: place)
    }
    return listing.entries.filter { entry in patterns.contains { fnmatch($0, entry.path, 0) == 0 } }
  }
}
