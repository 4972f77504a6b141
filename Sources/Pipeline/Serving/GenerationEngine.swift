import Core
import Dispatch
import Files
import Generating
import Glibc
import JSON
import Loading
import Models
import Serving
import Synchronization
import Tokenizing

/// What a server's engine takes upon itself.
public struct EngineSettings: Sendable {
  /// Answers that are continued at once; more wait.
  public var width = 16
  /// Answers that may wait.
  public var queue = 256
  /// Bytes of keys and values; nil for half of the memory that there is when the model is open.
  public var cacheBytes: Int?
  /// Of an answer whose request names no limit; nil for as many as the model's context leaves.
  public var maxTokens: Int?

  public init() {}

  func validate() throws {
    guard width >= 1, queue >= 0, cacheBytes ?? 1 >= 1, maxTokens ?? 1 >= 1 else {
      throw SFTError(.usage, "a server needs room for at least one answer, and limits of at least 1")
    }
  }
}

/// A model with adapters that are loaded and dropped while it answers: every request's answers are continued in one batch, on a
/// thread of the engine's own, each by the base or the adapter that it names. An answer does not depend on the others.
public final class GenerationEngine: CompletionEngine {
  /// An adapter, whose parameters nobody writes to once it is read.
  struct LoadedAdapter: @unchecked Sendable {
    var name: String
    var created: Int
    var adapter: Adapter
  }

  /// One prompt that a client has asked for, and what hears of it.
  struct Submission: @unchecked Sendable {
    var ticket: CompletionTicket
    var requests: [GenerationRequest]
    var sink: @Sendable (CompletionEvent) -> Void
  }

  enum Command: Sendable {
    case submit(Submission)
    case cancel(CompletionTicket)
    case forget(LoadedAdapter)
  }

  struct State: Sendable {
    var adapters: [LoadedAdapter] = []
    var commands: [Command] = []
    /// Answers that are continued, and answers that were taken and are not begun.
    var running = 0
    var waiting = 0
    var statistics = EngineStatistics()
    var lastTicket: UInt64 = 0
    var isStopping = false
  }

  let state: Mutex<State>
  let wake = DispatchSemaphore(value: 0)
  let ended = DispatchSemaphore(value: 0)
  let settings: EngineSettings
  let cacheBytes: Int
  /// Read alone after it is open; its pass belongs to the engine's thread.
  nonisolated(unsafe) let session: InferenceSession
  private let base: ServedModel
  private let force: Bool
  private let layout: RecordLayout
  /// One adapter is read at a time.
  private let loading = Mutex(())

  /// Starts the engine's thread. `baseName` is what requests call the base; `adapters` are folders by name, beside the session's
  /// own adapter, whose name `adapterName` is.
  ///
  /// Throws what is wrong with an adapter, and `usage` for a name that is there twice.
  public init(
    _ session: InferenceSession, _ settings: EngineSettings, baseName: String, adapterName: String?,
    adapters: [(name: String, folder: String)], force: Bool
  ) throws {
    try settings.validate()
    (self.session, self.settings, self.force) = (session, settings, force)
    guard !baseName.isEmpty else { throw SFTError(.usage, "the base's name is empty") }
    guard adapterName != baseName else { throw Self.taken(baseName) }
    layout = try session.layoutOfConversations()
    base = ServedModel(id: baseName, created: Self.now)
    let free = MemoryAllowance.current
    cacheBytes = settings.cacheBytes ?? max(1 << 26, ((free.limit ?? 8 << 30) - free.resident) / 2)
    var initial = State()
    if let adapter = session.adapter, let adapterName {
      initial.adapters.append(LoadedAdapter(name: adapterName, created: Self.now, adapter: adapter))
    }
    state = Mutex(initial)
    for (name, folder) in adapters { try loadAdapter(named: name, folder: folder) }
    let batch = try makeBatch()
    nonisolated(unsafe) let own = batch
    let failure = startThread { [self] in EngineLoop(self, own).run() }
    guard failure == 0 else { throw SFTError(.internalError, "there is no thread for the engine (error \(failure))") }
  }

  private func makeBatch() throws -> GenerationBatch {
    var batch = GenerationBatch.Settings()
    batch.width = settings.width
    batch.memory = cacheBytes
    batch.retention = .prompts
    // Other answers wait for so many rows at most.
    batch.promptRows = 256
    return try GenerationBatch(session.pass, session.base.tokenizer, batch)
  }

  /// Seconds since 1970 in UTC.
  private static var now: Int { time(nil) }

  // MARK: - Models

  public var models: [ServedModel] {
    [base]
      + state.withLock { state in
        state.adapters.map { ServedModel(id: $0.name, base: base.id, created: $0.created) }
      }
  }

  public func loadAdapter(named name: String, folder: String) throws {
    guard !name.isEmpty else { throw SFTError(.usage, "an adapter's name is empty") }
    try loading.withLock { _ in
      let isTaken = name == base.id || state.withLock { $0.adapters.contains { $0.name == name } }
      if isTaken { throw Self.taken(name) }
      let adapter = LoadedAdapter(
        name: name, created: Self.now,
        adapter: try session.base.adapter(folder, force: force, notice: session.workspace.notice))
      state.withLock { $0.adapters.append(adapter) }
    }
  }

  private static func taken(_ name: String) -> SFTError {
    SFTError(.usage, "there is a model \(quoted(name)) already")
  }

  public func unloadAdapter(named name: String) throws {
    try state.withLock { state in
      guard let index = state.adapters.firstIndex(where: { $0.name == name }) else {
        throw SFTError(.notFound, "there is no adapter \(quoted(name))")
      }
      state.commands.append(.forget(state.adapters.remove(at: index)))
    }
    wake.signal()
  }

  // MARK: - Requests

  public func submit(
    _ request: CompletionRequest, _ sink: @escaping @Sendable (CompletionEvent) -> Void
  ) throws -> CompletionTicket {
    let adapter = try adapter(of: request.model)
    let prompt = try prompt(request.prompt)
    let requests = try self.requests(request, prompt, adapter?.adapter)
    let most = settings.queue + settings.width
    guard requests.count <= most else {
      throw SFTError(.usage, "the request asks for \(requests.count) answers at once, of which there may be \(most)")
    }
    let ticket = try state.withLock { state in
      if state.isStopping { throw SFTError(.interrupted, "the server is stopping") }
      if let adapter, !state.adapters.contains(where: { $0.adapter === adapter.adapter }) {
        throw SFTError(.notFound, "the model \(quoted(adapter.name)) was dropped")
      }
      if state.running + state.waiting + requests.count > most { throw QueueFull() }
      state.lastTicket += 1
      state.waiting += requests.count
      let ticket = CompletionTicket(id: state.lastTicket)
      state.commands.append(.submit(Submission(ticket: ticket, requests: requests, sink: sink)))
      return ticket
    }
    wake.signal()
    return ticket
  }

  public func cancel(_ ticket: CompletionTicket) {
    state.withLock { $0.commands.append(.cancel(ticket)) }
    wake.signal()
  }

  public var statistics: EngineStatistics { state.withLock { $0.statistics } }

  /// Gives up what still runs, and returns when the engine's thread has ended.
  public func stop() {
    state.withLock { $0.isStopping = true }
    wake.signal()
    ended.wait()
    ended.signal()
  }

  private func adapter(of model: String) throws -> LoadedAdapter? {
    if model == base.id { return nil }
    let (found, names) = state.withLock { state in
      (state.adapters.first { $0.name == model }, state.adapters.map(\.name))
    }
    guard let found else {
      throw SFTError(.notFound, "there is no model \(quoted(model)); there are \(listed([base.id] + names))")
    }
    return found
  }

  private func prompt(_ prompt: CompletionRequest.Prompt) throws -> InferenceSession.Prompt {
    switch prompt {
    case .text(let text): return session.prompt(text: text)
    case .tokens(let ids): return InferenceSession.Prompt(ids: ids, endTokens: [])
    case .conversation(let messages, let tools, let goesOn):
      guard tools == nil || layout.showsTools else {
        throw SFTError(.usage, "the model's template shows no tools")
      }
      let members = [("messages", messages)] + (tools.map { [("tools", $0)] } ?? [])
      guard let conversation = try readConversation(JSONObject(members)) else {
        throw SFTError(.badData, "there are no messages")
      }
      let isBegun = conversation.turns.last?.role == Role.assistant
      if isBegun != goesOn {
        throw SFTError(
          .usage,
          goesOn
            ? "there is no message of the assistant at the end to go on with"
            : "the last message is the assistant's: it is gone on with where continue_final_message is true")
      }
      guard isBegun || conversation.turns.contains(where: { $0.role != Role.system }) else {
        throw SFTError(.usage, "the conversation has no question to answer")
      }
      return try session.prompt(conversation.turns, tools: conversation.tools, layout)
    }
  }

  /// What OpenAI's older endpoint makes where nothing is said.
  private static let textTokens = 16

  /// One for each choice; each has its own stream of random numbers, the first that of the seed itself.
  private func requests(
    _ request: CompletionRequest, _ prompt: InferenceSession.Prompt, _ adapter: Adapter?
  ) throws -> [GenerationRequest] {
    let sampling = SamplingSettings(
      temperature: request.temperature ?? 1, topK: request.topK, topP: request.topP, minP: request.minP,
      repetitionPenalty: request.repetitionPenalty ?? 1)
    let decoder = session.base.decoder
    let context = decoder.configuration.contextLength
    guard prompt.ids.count < context else {
      throw SFTError(
        .badData,
        "the prompt has \(grouped(prompt.ids.count)) tokens, which leaves no room in the model's context of "
          + grouped(context))
    }
    // What no client limited is cut where memory ends, not refused.
    let block = KeyValuePool.blockTokens
    let room = cacheBytes / max(1, KeyValuePool.bytes(of: block, decoder)) * block - prompt.ids.count
    var standard = settings.maxTokens ?? context
    if case .conversation = request.prompt {} else { standard = settings.maxTokens ?? Self.textTokens }
    let seed = request.seed ?? UInt64.random(in: .min ... .max)
    let settings = GenerationSettings(
      maxNewTokens: request.maxTokens ?? max(1, min(standard, context - prompt.ids.count, room)), sampling: sampling,
      seed: seed, stop: request.stop)
    try settings.validate()
    return (0..<request.choices).map { choice in
      var own = settings
      // Not the next seed's first.
      if choice > 0 { own.seed = SeededGenerator.mix(seed ^ SeededGenerator.mix(UInt64(choice))) }
      return GenerationRequest(
        prompt.ids, own, adapter: adapter, endTokens: prompt.endTokens, likeliest: request.logProbabilities)
    }
  }
}
