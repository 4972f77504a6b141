import Core
import Files
import Glibc

/// Brings a repository's files into the local cache, laid out as the hub's own library does: `blobs` with contents by
/// their hashes, `snapshots/COMMIT` with links to them by their names, `refs/REVISION` with the commit.
public struct HubFetch {
  /// What is fetched.
  public struct Options: Sendable {
    public var name: HubName
    /// A branch, a tag, a commit, or `refs/pr/N`.
    public var revision: String
    /// Patterns of paths; empty for the files that this program can use.
    public var include: [String]

    public init(_ name: HubName, revision: String = "main", include: [String] = []) {
      (self.name, self.revision, self.include) = (name, revision, include)
    }
  }

  /// How far it is.
  public struct Progress: Sendable, Equatable {
    /// The file on its way.
    public var file: String
    /// Bytes that came, of those that were missing.
    public var done: Int
    public var total: Int
  }

  /// What is there now.
  public struct Result: Sendable, Equatable, Encodable {
    public struct File: Sendable, Equatable, Encodable {
      public var path: String
      public var bytes: Int
      /// Whether it was there before.
      public var cached: Bool
    }

    public var name: String
    public var kind: String
    public var revision: String
    public var commit: String
    /// The snapshot's folder.
    public var path: String
    public var files: [File]

    public var bytes: Int { files.map(\.bytes).reduce(0, +) }
    public var fetchedBytes: Int { files.filter { !$0.cached }.map(\.bytes).reduce(0, +) }
  }

  private let options: Options
  private let environment: HubEnvironment
  private let cache: HubCache
  private let client: HubClient
  private let remark: (String) -> Void
  private let progress: (Progress) throws -> Void

  /// Throws `usage` where the environment forbids it, or has no place for it. What `progress` or `pause` throw stops
  /// it; what is there by then is kept.
  public init(
    _ options: Options, environment: HubEnvironment, remark: @escaping (String) -> Void,
    pause: @escaping (Double) throws -> Void = { usleep(UInt32($0 * 1e6)) },
    progress: @escaping (Progress) throws -> Void
  ) throws {
    guard !environment.isOffline else {
      throw SFTError(.usage, "HF_HUB_OFFLINE is set, so nothing is fetched", advice: "Unset it to reach the network")
    }
    guard let cache = environment.cache else {
      throw SFTError(.usage, "there is no place for the cache: neither HF_HOME nor HOME is set")
    }
    guard RepositoryListing.isSafe(options.revision), !options.revision.hasPrefix("-") else {
      throw SFTError(.usage, "\(quoted(options.revision)) is no revision")
    }
    self.options = options
    self.environment = environment
    self.cache = cache
    self.remark = remark
    self.progress = progress
    client = HubClient(
      environment: environment, name: options.name, revision: options.revision, pause: pause, remark: remark)
  }

  public func callAsFunction() throws -> Result {
    let list = "/api/\(options.name.apiPath)/revision/\(WebAddress.encoded(options.revision))?blobs=true"
    let listing = try RepositoryListing(try client.get(list), place: client.address(list))
    let folder = cache.path(of: options.name)
    for path in [folder + "/blobs", folder + "/refs", snapshot(listing), locks] { try createDirectory(path) }
    try cache.tag()
    var files = try needed(listing)
    var ready: [(entry: RepositoryListing.Entry, state: State)] = []
    if let index = files.first(where: { $0.path == NeededFiles.index }), options.include.isEmpty {
      var meter = Meter(bytes: missingBytes([index], listing))
      ready.append((index, try fetch(index, listing, &meter)))
      files =
        try files.filter { $0 != index }
        + NeededFiles.shards(
          hasBlob(index) ? blob(index) : snapshot(listing) + "/" + index.path, listing)
    }
    var meter = Meter(bytes: missingBytes(files, listing))
    try checkSpace(meter.total)
    for file in files { ready.append((file, try fetch(file, listing, &meter))) }
    // Names come when all contents are there, and what makes a folder a model last: a part is then not taken for the whole.
    let isLast = { (path: String) in path == "config.json" ? 1 : 0 }
    ready.sort { (isLast($0.entry.path), $0.entry.path) < (isLast($1.entry.path), $1.entry.path) }
    for (entry, _) in ready where environment.usesLinks || !isThere(entry, listing) {
      if environment.usesLinks {
        try cache.link(snapshot(listing), entry.path, to: entry.hash)
      } else {
        try cache.place(snapshot(listing), entry.path, from: blob(entry))
      }
    }
    // Without links contents stand under their names alone, but for those that were here before.
    if !environment.usesLinks {
      for (entry, state) in ready where state == .fetched { unlink(blob(entry)) }
    }
    if options.revision != listing.commit {
      let reference = folder + "/refs/" + options.revision
      try createDirectory(parentPath(reference))
      try writeAtomically(listing.commit, to: reference)
    }
    return Result(
      name: options.name.text, kind: options.name.kind.rawValue, revision: options.revision, commit: listing.commit,
      path: snapshot(listing),
      files: ready.map { Result.File(path: $0.entry.path, bytes: $0.entry.size, cached: $0.state == .cached) }
        .sorted { $0.path < $1.path })
  }

  private func needed(_ listing: RepositoryListing) throws -> [RepositoryListing.Entry] {
    let place = environment.endpoint + "/" + options.name.path
    if !options.include.isEmpty { return try NeededFiles.matching(options.include, listing, place: place) }
    return switch options.name.kind {
    case .model: try NeededFiles.ofModel(listing, place: place)
    case .dataset: try NeededFiles.ofDataset(listing, place: place)
    }
  }

  // MARK: - One file

  private var locks: String { "\(cache.folder)/.locks/\(options.name.folder)" }
  private func snapshot(_ listing: RepositoryListing) -> String {
    "\(cache.path(of: options.name))/snapshots/\(listing.commit)"
  }
  private func blob(_ entry: RepositoryListing.Entry) -> String {
    "\(cache.path(of: options.name))/blobs/\(entry.hash)"
  }

  /// A content that is there under its hash was checked when it came; one of another size is not it.
  private func hasBlob(_ entry: RepositoryListing.Entry) -> Bool {
    (try? FileStatus(blob(entry)))?.map { $0.kind == .file && $0.size == entry.size } ?? false
  }

  /// Whether nothing of it has to be fetched.
  private func isThere(_ entry: RepositoryListing.Entry, _ listing: RepositoryListing) -> Bool {
    if environment.usesLinks { return hasBlob(entry) }
    return (try? FileStatus(snapshot(listing) + "/" + entry.path))?.map { $0.size == entry.size } ?? false
  }

  /// What has to come for these files: each content once, and without what an earlier try left of it.
  private func missingBytes(_ entries: [RepositoryListing.Entry], _ listing: RepositoryListing) -> Int {
    var seen = Set<String>()
    return entries.filter { !isThere($0, listing) && !hasBlob($0) && seen.insert($0.hash).inserted }.reduce(0) {
      let begun = (try? FileStatus(BlobDownload.incomplete(blob($1))))??.size ?? 0
      return $0 + (begun <= $1.size ? $1.size - begun : $1.size)
    }
  }

  private enum State { case cached, fetched }

  /// Has a file's content there, under its hash or its name.
  private func fetch(
    _ entry: RepositoryListing.Entry, _ listing: RepositoryListing, _ meter: inout Meter
  ) throws -> State {
    var state = Progress(file: entry.path, done: meter.done, total: meter.total)
    // Another process that fetches the same waits for it, and finds it there; the hub's own library does, too.
    let lock = try FileLock("\(locks)/\(entry.hash).lock", .exclusive) {
      remark("another process is fetching \(entry.path): waiting for it.")
    } poll: {
      try progress(state)
    }
    return try withExtendedLifetime(lock) {
      if isThere(entry, listing) || hasBlob(entry) { return .cached }
      let source = "/\(options.name.path)/resolve/\(listing.commit)/\(WebAddress.encoded(entry.path, isPath: true))"
      try progress(state)
      try BlobDownload(client: client, entry: entry, source: source, blob: blob(entry)) { bytes in
        state.done += bytes
        state.total = max(state.total, state.done)
        try progress(state)
      }()
      meter.done = state.done
      return .fetched
    }
  }

  /// Bytes that came, of those that were missing.
  private struct Meter {
    var done = 0
    let total: Int

    init(bytes: Int) { total = bytes }
  }

  /// Throws `inputOutput` where the disk has no room for so many bytes.
  private func checkSpace(_ bytes: Int) throws {
    var status = statvfs()
    guard statvfs(cache.folder, &status) == 0 else { return }
    let free = Int(status.f_bavail) * Int(status.f_frsize)
    guard bytes > free else { return }
    throw SFTError(
      .inputOutput, "the files take \(byteCount(bytes)), and the disk has \(byteCount(free)) free", file: cache.folder,
      advice: "Make room, or set HF_HUB_CACHE to a folder on another disk")
  }
}
