import Core
import JSON

/// What a repository holds at one commit, as the hub lists it; checked.
struct RepositoryListing: Sendable {
  struct Entry: Sendable, Equatable {
    /// Below the repository, with slashes.
    var path: String
    /// In bytes.
    var size: Int
    /// What its content is known by: the SHA-256 of a large file, else git's SHA-1.
    var hash: String
  }

  let commit: String
  let entries: [Entry]

  private static let mostFiles = 1_000_000

  /// Reads the answer of `/api/models/NAME/revision/REVISION?blobs=true`. Throws `badData` for what no such answer
  /// holds: `place` is where it came from.
  init(_ bytes: [UInt8], place: String) throws {
    func wrong(_ words: String) -> SFTError { SFTError(.badData, "the list of its files \(words)", file: place) }
    let value: JSONValue
    do {
      value = try bytes.withUnsafeBytes { try parseJSON($0, file: place) }
    } catch {
      throw wrong("is not JSON")
    }
    guard let commit = value["sha"]?.string, commit.utf8.count == 40, commit.utf8.allSatisfy(Self.isHexadecimal) else {
      throw wrong("names no commit")
    }
    guard let siblings = value["siblings"]?.array, siblings.count <= Self.mostFiles else {
      throw wrong("is missing or too long")
    }
    self.commit = commit
    var seen = Set<String>()
    entries = try siblings.compactMap { sibling in
      guard let path = sibling["rfilename"]?.string else { throw wrong("has an entry without a name") }
      guard Self.isSafe(path), seen.insert(path).inserted else {
        throw wrong("has the name \(quoted(String(path.prefix(80)))), which no file of a repository has")
      }
      let large = sibling["lfs"]
      guard let size = large?["size"]?.int ?? sibling["size"]?.int, size >= 0, size < 1 << 50,
        let hash = large?["sha256"]?.string ?? large?["oid"]?.string ?? sibling["blobId"]?.string,
        [40, 64].contains(hash.utf8.count), hash.utf8.allSatisfy(Self.isHexadecimal)
      else { throw wrong("does not say how large \(quoted(path)) is, and by what its content is known") }
      return Entry(path: path, size: size, hash: hash)
    }
  }

  subscript(path: String) -> Entry? { entries.first { $0.path == path } }

  private static func isHexadecimal(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (97...102).contains(byte) }

  /// Whether a path stays below the folder that it is put in.
  static func isSafe(_ path: String) -> Bool {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    return path.utf8.count <= 1024
      && parts.allSatisfy { part in
        !part.isEmpty && part != "." && part != ".." && part.utf8.count <= 255
          && part.utf8.allSatisfy { $0 >= 32 && $0 != 127 && $0 != UInt8(ascii: "\\") }
      }
  }
}
