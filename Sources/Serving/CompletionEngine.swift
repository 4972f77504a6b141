import Core
import JSON

/// What generates. The server turns HTTP into requests to it, and its events into HTTP.
///
/// Every member may be called from any thread, at any time, by several at once.
public protocol CompletionEngine: AnyObject, Sendable {
  /// The base and its adapters, in the order in which they are listed.
  var models: [ServedModel] { get }

  /// Checks a request and puts it into the queue.
  ///
  /// `sink` is called from the engine's thread, in order, perhaps before `submit` has returned: `started` first, at most
  /// one `finished` a choice, and `completed` or `failed` last of all. It returns at once and never throws.
  ///
  /// - Throws: `SFTError` of kind `notFound` for a model that is not served, `usage` or `badData` for a request that
  ///   cannot be fulfilled, which the client has to change; `QueueFull` where it may come again later.
  func submit(
    _ request: CompletionRequest, _ sink: @escaping @Sendable (CompletionEvent) -> Void
  ) throws -> CompletionTicket

  /// Ends a request that nobody waits for any more; nothing where it has ended already. What `sink` is still told
  /// afterwards is ignored; it need not be told an end.
  func cancel(_ ticket: CompletionTicket)

  /// Serves the adapter of `folder`, a path of this machine, as the model `name`. May take as long as it needs.
  ///
  /// - Throws: `SFTError` of kind `usage` where `name` is taken, `notFound` or `badData` where the folder is not one.
  func loadAdapter(named name: String, folder: String) throws

  /// Serves it no more; requests that are running with it finish.
  ///
  /// - Throws: `SFTError` of kind `notFound` where no adapter has that name.
  func unloadAdapter(named name: String) throws

  var statistics: EngineStatistics { get }
}

/// A model under its name.
public struct ServedModel: Sendable, Equatable {
  public var id: String
  /// The model that it is an adapter of; nil for a base.
  public var base: String?
  /// Seconds since 1970 in UTC.
  public var created: Int

  public init(id: String, base: String? = nil, created: Int) {
    self.id = id
    self.base = base
    self.created = created
  }
}

/// A request that was taken, for as long as the engine runs.
public struct CompletionTicket: Sendable, Hashable {
  public let id: UInt64

  public init(id: UInt64) { self.id = id }
}

/// The engine's queue is as long as it may be.
public struct QueueFull: Error, Sendable, Equatable {
  /// Whole seconds after which it is worth while to come again, at least 1.
  public var retryAfter: Int

  public init(retryAfter: Int = 1) { self.retryAfter = retryAfter }
}

/// What an engine does at this moment, and what it has done since it began.
public struct EngineStatistics: Sendable, Equatable {
  /// Requests being computed, and requests that wait for it.
  public var running = 0
  public var waiting = 0
  /// Sequences being computed; a request has as many as choices.
  public var sequences = 0
  /// Tokens of prompts, those taken from the cache among them.
  public var promptTokens = 0
  /// Tokens of prompts whose keys and values were there already.
  public var cachedTokens = 0
  public var generatedTokens = 0
  /// Blocks of the key/value cache in use, and all there are.
  public var usedCacheBlocks = 0
  public var cacheBlocks = 0

  public init() {}
}
