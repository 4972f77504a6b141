import Core
import Files
import Glibc
import HTTP

/// One file's content on its way into the cache: kept under a name of its own until all of it is there and its hash is
/// right, so that a cut loses nothing and nothing wrong is ever found.
struct BlobDownload {
  let client: HubClient
  let entry: RepositoryListing.Entry
  /// Of the file on the server, below the endpoint.
  let source: String
  /// Where the content goes.
  let blob: String
  /// Told of every byte that came.
  let came: (Int) throws -> Void

  /// Where a content is that has not come as a whole.
  static func incomplete(_ blob: String) -> String { blob + ".incomplete" }

  /// Downloads what is missing. Throws `badData` where the server has, twice in a row, other content than it says.
  func callAsFunction() throws {
    for isLast in [false, true] {
      let file = try PartialFile(Self.incomplete(blob), entry)
      try download(into: file)
      if file.hash == entry.hash {
        try file.finish(as: blob)
        return
      }
      file.discard()
      // What was there from before may be of another time.
      if isLast || file.isFresh {
        throw SFTError(
          .badData,
          "what the server sent for \(entry.path) has another hash than it says", file: client.address(source),
          advice: "Nothing of it is kept; give the same command again later")
      }
    }
  }

  private func download(into file: PartialFile) throws {
    var atStart = file.count
    try client.download(
      source,
      offset: {
        file.nextAnswer()
        return file.count
      }, isComplete: { file.count == entry.size },
      progressed: {
        // A server that gives a byte a try would be tried for ever.
        defer { atStart = file.count }
        return file.count >= atStart + 1 << 20
      }, restart: { try file.restart() }
    ) { head, bytes in
      if file.isNewAnswer(head) {
        // An answer in full begins at the beginning, whatever was asked for.
        if head.status != 206 {
          try file.restart()
        } else if let range = head.headers["content-range"], !range.hasPrefix("bytes \(file.count)-") {
          try file.restart()
          throw HTTPFailure(reason: "the server sends other bytes than were asked for")
        }
      }
      guard file.count + bytes.count <= entry.size else {
        file.discard()
        throw SFTError(
          .badData, "the server sends more than the \(grouped(entry.size)) bytes that \(entry.path) has",
          file: client.address(source))
      }
      try file.append(bytes)
      try came(bytes.count)
    }
  }
}

/// A file that grows, with the hash of what is in it.
private final class PartialFile {
  private let path: String
  private let descriptor: Int32
  private var content: ContentHash
  private let entry: RepositoryListing.Entry
  private(set) var count = 0
  /// Whether nothing was there before.
  private(set) var isFresh = true
  /// The answer that bytes came from last.
  private(set) var answered: HTTPHead?

  /// Goes on with what is there.
  init(_ path: String, _ entry: RepositoryListing.Entry) throws {
    guard let content = ContentHash(named: entry.hash, size: entry.size) else {
      throw SFTError(.internalError, "\(entry.hash) is no hash")
    }
    (self.path, self.entry, self.content) = (path, entry, content)
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
    guard descriptor >= 0 else { throw systemError("create", path) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    while true {
      let read = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if read < 0, errno == EINTR { continue }
      guard read >= 0 else { throw systemError("read", path) }
      if read == 0 { break }
      self.content.update(UnsafeRawBufferPointer(rebasing: buffer[..<read]))
      count += read
    }
    isFresh = count == 0
    if count > entry.size { try restart() }
  }

  deinit { close(descriptor) }

  var hash: String { content.hex }

  /// Whether this is the first of an answer's bytes.
  func isNewAnswer(_ head: HTTPHead) -> Bool {
    defer { answered = head }
    return answered == nil
  }

  func append(_ bytes: UnsafeRawBufferPointer) throws {
    content.update(bytes)
    var rest = bytes
    while !rest.isEmpty {
      let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
      if written < 0 {
        if errno == EINTR { continue }
        throw systemError("write", path)
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[written...])
    }
    count += bytes.count
  }

  /// A new answer is about to come.
  func nextAnswer() { answered = nil }

  func restart() throws {
    guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else { throw systemError("write", path) }
    count = 0
    isFresh = true
    if let new = ContentHash(named: entry.hash, size: entry.size) { content = new }
  }

  func discard() { unlink(path) }

  /// Durable, and under its name.
  func finish(as name: String) throws {
    guard fsync(descriptor) == 0 else { throw systemError("write", path) }
    guard rename(path, name) == 0 else { throw systemError("rename", path) }
    syncDirectory(parentPath(name))
  }
}
