import Core
import JSON
import Serving
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// An engine that says what its script tells it to, each request on a thread of its own.
final class FakeEngine: CompletionEngine {
  enum Behaviour: Sendable {
    /// Each choice says these, one after the other.
    case say([String], reason: FinishReason = .stop, pause: Double = 0)
    /// Exactly these events, and then nothing.
    case tell([CompletionEvent])
    /// Begins, and waits until `release` or until it is cancelled.
    case hold
    /// Says this over and over until it is cancelled.
    case flood(String)
    /// Is not taken.
    case refuse(any Error)
  }

  private struct State {
    var requests: [CompletionRequest] = []
    var cancelled: Set<CompletionTicket> = []
    var isReleased = false
    var running = 0
    var models: [ServedModel]
    var statistics = EngineStatistics()
    var folders: [String] = []
  }

  private let state: Mutex<State>
  private let script: @Sendable (CompletionRequest) -> Behaviour

  init(
    models: [ServedModel] = [
      ServedModel(id: "base", created: 1_700_000_000), ServedModel(id: "tuned", base: "base", created: 1_700_000_001),
    ],
    _ script: @escaping @Sendable (CompletionRequest) -> Behaviour = { _ in .say(["Hel", "lo"]) }
  ) {
    state = Mutex(State(models: models))
    self.script = script
  }

  var models: [ServedModel] { state.withLock { $0.models } }
  var statistics: EngineStatistics { state.withLock { $0.statistics } }
  var requests: [CompletionRequest] { state.withLock { $0.requests } }
  var cancelled: Int { state.withLock { $0.cancelled.count } }
  var folders: [String] { state.withLock { $0.folders } }
  var isIdle: Bool { state.withLock { $0.running == 0 } }

  /// Lets what is held say "late" and end.
  func release() { state.withLock { $0.isReleased = true } }

  func submit(
    _ request: CompletionRequest, _ sink: @escaping @Sendable (CompletionEvent) -> Void
  ) throws -> CompletionTicket {
    guard models.contains(where: { $0.id == request.model }) else {
      throw SFTError(.notFound, "there is no model \(quoted(request.model))")
    }
    let behaviour = script(request)
    if case .refuse(let error) = behaviour { throw error }
    let ticket = state.withLock { state in
      state.requests.append(request)
      state.running += 1
      return CompletionTicket(id: UInt64(state.requests.count))
    }
    let failure = startThread { [self] in
      run(request, behaviour, ticket, sink)
      state.withLock { $0.running -= 1 }
    }
    guard failure == 0 else { throw QueueFull() }
    return ticket
  }

  func cancel(_ ticket: CompletionTicket) { state.withLock { _ = $0.cancelled.insert(ticket) } }

  func loadAdapter(named name: String, folder: String) throws {
    guard folder.hasPrefix("/") else { throw SFTError(.badData, "holds no adapter", file: folder) }
    try state.withLock { state in
      guard !state.models.contains(where: { $0.id == name }) else {
        throw SFTError(.usage, "there is a model \(quoted(name)) already")
      }
      state.models.append(ServedModel(id: name, base: "base", created: 1_700_000_002))
      state.folders.append(folder)
    }
  }

  func unloadAdapter(named name: String) throws {
    try state.withLock { state in
      guard let index = state.models.firstIndex(where: { $0.id == name && $0.base != nil }) else {
        throw SFTError(.notFound, "there is no adapter \(quoted(name))")
      }
      state.models.remove(at: index)
    }
  }

  private func isCancelled(_ ticket: CompletionTicket) -> Bool { state.withLock { $0.cancelled.contains(ticket) } }

  private func run(
    _ request: CompletionRequest, _ behaviour: Behaviour, _ ticket: CompletionTicket,
    _ sink: @Sendable (CompletionEvent) -> Void
  ) {
    if case .tell(let events) = behaviour {
      events.forEach(sink)
      return
    }
    sink(.started(promptTokens: 7, cachedTokens: 3))
    switch behaviour {
    case .say(let words, let reason, let pause):
      for (number, word) in words.enumerated() {
        if isCancelled(ticket) { return }
        for choice in 0..<request.choices { sink(.text(piece(request, choice, word, number))) }
        if pause > 0 { usleep(UInt32(pause * 1e6)) }
      }
      for choice in 0..<request.choices { sink(.finished(choice: choice, reason: reason, tokens: words.count)) }
      sink(.completed)
    case .hold:
      while !state.withLock({ $0.isReleased }) {
        if isCancelled(ticket) { return }
        usleep(2000)
      }
      sink(.text(CompletionPiece(choice: 0, text: "late")))
      sink(.finished(choice: 0, reason: .stop, tokens: 1))
      sink(.completed)
    case .flood(let text):
      while !isCancelled(ticket) {
        sink(.text(CompletionPiece(choice: 0, text: text)))
        usleep(100)
      }
    case .tell, .refuse: break
    }
  }

  /// Each word a token with id 100, 101 …, of which the second likeliest is "?".
  private func piece(_ request: CompletionRequest, _ choice: Int, _ word: String, _ number: Int) -> CompletionPiece {
    var piece = CompletionPiece(choice: choice, text: word)
    if let count = request.logProbabilities {
      let chosen = TokenProbability(token: 100 + Int32(number), bytes: Array(word.utf8), logProbability: -0.25)
      let other = TokenProbability(token: 1, bytes: [0xe2, 0x80], logProbability: -2)
      piece.tokens = [GeneratedToken(chosen: chosen, likeliest: Array([chosen, other].prefix(count)))]
    }
    return piece
  }
}
