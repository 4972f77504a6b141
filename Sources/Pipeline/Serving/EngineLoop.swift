import Core
import Generating
import Models
import Serving
import Tokenizing

/// What the engine's thread does: takes in what clients want, gives each answer a token more, and tells them.
struct EngineLoop {
  /// A client's prompt, with the answers to it that are not whole.
  private struct Client {
    var submission: GenerationEngine.Submission
    var open: Set<Int>
    var hasStarted = false
  }

  private let engine: GenerationEngine
  private let batch: GenerationBatch
  private let tokenizer: Tokenizer
  private var clients: [CompletionTicket: Client] = [:]
  /// Whose answer a text of the batch is.
  private var places: [GenerationBatch.ID: (ticket: CompletionTicket, choice: Int)] = [:]
  /// Adapters that are dropped as soon as nobody uses them.
  private var dropped: [Adapter] = []
  private var statistics = EngineStatistics()

  init(_ engine: GenerationEngine, _ batch: GenerationBatch) {
    (self.engine, self.batch) = (engine, batch)
    tokenizer = engine.session.base.tokenizer
  }

  func run() {
    var loop = self
    while loop.takeIn() {
      if loop.batch.isEmpty {
        loop.publish()
        engine.wake.wait()
      } else {
        loop.tell(loop.batch.step())
        loop.publish()
      }
    }
    loop.giveUp()
    engine.ended.signal()
  }

  /// Does what was asked for since the last step; false where the engine is to end.
  private mutating func takeIn() -> Bool {
    let (commands, isStopping) = engine.state.withLock { state in
      defer { state.commands = [] }
      return (state.commands, state.isStopping)
    }
    for command in commands {
      switch command {
      case .submit(let submission): add(submission)
      case .cancel(let ticket): remove(ticket)
      case .forget(let adapter): dropped.append(adapter.adapter)
      }
    }
    dropped.removeAll { adapter in
      if batch.uses(adapter) { return false }
      batch.forget(adapter)
      return true
    }
    return !isStopping
  }

  private mutating func add(_ submission: GenerationEngine.Submission) {
    clients[submission.ticket] = Client(submission: submission, open: Set(submission.requests.indices))
    do {
      for (choice, request) in submission.requests.enumerated() {
        places[try batch.add(request)] = (submission.ticket, choice)
      }
    } catch {
      fail(submission.ticket, error as? SFTError ?? SFTError(.internalError, "\(error)"))
    }
  }

  private mutating func remove(_ ticket: CompletionTicket) {
    clients[ticket] = nil
    for (id, place) in places where place.ticket == ticket {
      batch.cancel(id)
      places[id] = nil
    }
  }

  private mutating func fail(_ ticket: CompletionTicket, _ error: SFTError) {
    clients[ticket]?.submission.sink(.failed(error))
    remove(ticket)
  }

  private mutating func tell(_ events: [GenerationBatch.Event]) {
    for event in events {
      switch event {
      case .started(let id, let shared): start(id, shared: shared)
      case .grown(let id, let text, let token):
        if token != nil || !text.isEmpty { grow(id, text, token) }
      case .ended(let id, let generation): end(id, generation)
      case .failed(let id, let error):
        // The request was right: what went wrong is the model's.
        if let place = places[id] { fail(place.ticket, SFTError(.internalError, error.message)) }
      }
    }
  }

  private mutating func start(_ id: GenerationBatch.ID, shared: Int) {
    guard let (ticket, choice) = places[id], let client = clients[ticket] else { return }
    let count = client.submission.requests[choice].prompt.count
    statistics.cachedTokens += shared
    statistics.promptTokens += count
    if client.hasStarted { return }
    clients[ticket]?.hasStarted = true
    client.submission.sink(.started(promptTokens: count, cachedTokens: shared))
  }

  private func grow(_ id: GenerationBatch.ID, _ text: String, _ token: ChosenToken?) {
    guard let (ticket, choice) = places[id] else { return }
    let tokens = token.map { token in
      [
        GeneratedToken(
          chosen: probability(token.chosen), likeliest: token.likeliest.map(probability))
      ]
    }
    clients[ticket]?.submission.sink(.text(CompletionPiece(choice: choice, text: text, tokens: tokens ?? [])))
  }

  private func probability(_ token: Generating.TokenProbability) -> Serving.TokenProbability {
    Serving.TokenProbability(
      token: token.token, bytes: tokenizer.token(token.token) ?? [], logProbability: token.logProbability)
  }

  private mutating func end(_ id: GenerationBatch.ID, _ generation: Generation) {
    guard let (ticket, choice) = places.removeValue(forKey: id) else { return }
    let count = generation.tokenIds.count + (generation.ending == .endOfText ? 1 : 0)
    statistics.generatedTokens += count
    clients[ticket]?.submission.sink(
      .finished(choice: choice, reason: generation.finishReason == .stop ? .stop : .length, tokens: count))
    clients[ticket]?.open.remove(choice)
    if let client = clients[ticket], client.open.isEmpty {
      client.submission.sink(.completed)
      clients[ticket] = nil
    }
  }

  private mutating func publish() {
    statistics.running = clients.values.count(where: \.hasStarted)
    statistics.waiting = clients.count - statistics.running
    statistics.sequences = batch.runningCount
    let block = max(1, KeyValuePool.bytes(of: KeyValuePool.blockTokens, batch.pass.decoder))
    statistics.usedCacheBlocks = batch.pool.bytes / block
    statistics.cacheBlocks = engine.cacheBytes / block
    engine.state.withLock { state in
      state.statistics = statistics
      let queued = state.commands.reduce(0) {
        if case .submit(let submission) = $1 { $0 + submission.requests.count } else { $0 }
      }
      state.running = batch.runningCount
      state.waiting = batch.waitingCount + queued
    }
  }

  private mutating func giveUp() {
    let rest = engine.state.withLock { state in
      defer { state.commands = [] }
      return state.commands
    }
    for case .submit(let submission) in rest { clients[submission.ticket] = Client(submission: submission, open: []) }
    for ticket in clients.keys { fail(ticket, SFTError(.interrupted, "the server is stopping")) }
  }
}
