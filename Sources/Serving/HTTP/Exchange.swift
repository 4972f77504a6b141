import Core
import JSON
import NIOCore

/// A completion request on its way: takes the engine's events and makes the answer of them. Lives on its connection's
/// event loop.
final class Exchange {
  private weak var connection: Connection?
  private let server: ServerState
  private let began: NIODeadline
  private var call: CompletionCall?
  private var format: ResponseFormat?
  private var tickets: [CompletionTicket] = []
  /// What was told before the request was known to be taken.
  private var early: [(event: CompletionEvent, prompt: Int)] = []
  /// Of prompt p, choice c at p · choices + c.
  private var choices: [ChoiceState] = []
  private var completed: Set<Int> = []
  private var usage = Usage()
  private var hasOpened = false
  private var hasText = false
  private var isEnded = false

  init(_ connection: Connection, began: NIODeadline) {
    self.connection = connection
    server = connection.server
    self.began = began
  }

  private var seconds: Double { Double((NIODeadline.now() - began).nanoseconds) / 1e9 }

  /// All prompts are in the engine's queue.
  func accepted(_ call: CompletionCall, _ tickets: [CompletionTicket]) {
    self.tickets = tickets
    guard !isEnded else {
      cancel()
      return
    }
    self.call = call
    format = ResponseFormat(call, number: .random(in: 0 ... .max), created: unixTime())
    choices = Array(repeating: ChoiceState(), count: call.choiceCount)
    connection?.request?.entry.model = call.model
    if server.settings.logsPrompts { connection?.request?.entry.prompt = Self.prompt(call) }
    let events = early
    early = []
    for (event, prompt) in events { take(event, ofPrompt: prompt) }
  }

  func take(_ event: CompletionEvent, ofPrompt prompt: Int) {
    guard !isEnded, !completed.contains(prompt) else { return }
    guard let call else {
      early.append((event, prompt))
      return
    }
    switch event {
    case .started(let promptTokens, let cachedTokens):
      usage.promptTokens += promptTokens
      usage.cachedTokens += cachedTokens
      connection?.request?.entry.promptTokens = usage.promptTokens
      if call.isStreamed { open() }
    case .text(let piece):
      guard let index = index(prompt, piece.choice) else { return }
      take(piece, index)
    case .finished(let choice, let reason, let tokens):
      guard let index = index(prompt, choice), choices[index].reason == nil else { return }
      choices[index].reason = reason
      usage.generatedTokens += tokens
      connection?.request?.entry.generatedTokens = usage.generatedTokens
      if call.isStreamed, let format { send(format.ending(index, reason)) }
    case .completed:
      completed.insert(prompt)
      if completed.count == call.requests.count { finish() }
    case .failed(let error): fail(APIError(error))
    }
  }

  /// Place among all choices; an engine that tells of one that nobody asked for has failed.
  private func index(_ prompt: Int, _ choice: Int) -> Int? {
    guard let call, (0..<call.choicesPerPrompt).contains(choice) else {
      fail(APIError(SFTError(.internalError, "the engine tells of a choice that nobody asked for")))
      return nil
    }
    return prompt * call.choicesPerPrompt + choice
  }

  private func take(_ piece: CompletionPiece, _ index: Int) {
    guard let call, let format, !piece.text.isEmpty || !piece.tokens.isEmpty else { return }
    if !hasText {
      hasText = true
      server.metrics.firstToken(after: seconds)
    }
    if call.isStreamed {
      send(format.chunk(index, piece, offset: &choices[index].offset))
    } else {
      choices[index].text += piece.text
      choices[index].tokens += piece.tokens
    }
  }

  private func open() {
    guard !hasOpened, let format else { return }
    hasOpened = true
    connection?.openStream()
    for index in choices.indices { if let opening = format.opening(index) { connection?.send(event: opening) } }
  }

  private func send(_ event: String) {
    open()
    connection?.send(event: event)
  }

  private func finish() {
    guard let call, let format, choices.allSatisfy({ $0.reason != nil }) else {
      fail(APIError(SFTError(.internalError, "the engine has left a choice without an end")))
      return
    }
    if call.isStreamed {
      if call.includesUsage { send(format.usageChunk(usage)) }
      send("[DONE]")
      // The last event may have been one too many for the client.
      guard !isEnded else { return }
      isEnded = true
      server.metrics.completed(after: seconds)
      connection?.closeStream()
    } else {
      isEnded = true
      server.metrics.completed(after: seconds)
      connection?.respond(Response(body: format.whole(choices, usage: usage)))
    }
  }

  /// Ends with an error: the answer where there is none yet, otherwise its last event, without a `[DONE]`.
  func fail(_ error: APIError) {
    guard !isEnded else { return }
    isEnded = true
    cancel()
    guard hasOpened else {
      connection?.respond(error)
      return
    }
    connection?.request?.entry.failure = error.detail ?? error.message
    connection?.send(event: error.json)
    connection?.closeStream()
  }

  /// Nobody waits for it any more.
  func abandon() {
    guard !isEnded else { return }
    isEnded = true
    cancel()
  }

  private func cancel() {
    tickets.forEach(server.engine.cancel)
    tickets = []
  }

  private static func prompt(_ call: CompletionCall) -> String {
    call.requests.map { request in
      switch request.prompt {
      case .conversation(let messages, _, _): messages.serialized
      case .text(let text): text
      case .tokens(let tokens): tokens.map(String.init).joined(separator: " ")
      }
    }.joined(separator: "\n")
  }
}
