import Core
import Generating
import Models
import SampleEncoding

/// A conversation with a session's model, turn by turn, with the base or what was trained on it.
public final class Dialogue {
  /// Who answers.
  public enum Side: String, Sendable, CaseIterable {
    case base
    case tuned
  }

  public private(set) var turns: [Conversation.Turn] = []
  public private(set) var side: Side
  /// What the system's turn says; nil for none.
  public var system: String?
  private let session: InferenceSession
  private let settings: GenerationSettings
  private var generators: [Side: Generator] = [:]
  /// Turns from the start that no longer fit into the context.
  private var leftOut = 0

  /// Throws `usage` where the session has no template for conversations.
  public init(_ session: InferenceSession, _ settings: GenerationSettings, system: String? = nil) throws {
    (self.session, self.settings, self.system) = (session, settings, system)
    side = session.isTuned ? .tuned : .base
    _ = try session.templateOfConversations
    _ = try generator()
  }

  /// Whether there is something trained to compare the base with.
  public var hasSides: Bool { session.isTuned }

  /// The system's turn, and all others.
  public var messages: [Conversation.Turn] { (systemTurn.map { [$0] } ?? []) + turns }

  private var systemTurn: Conversation.Turn? { system.map { Conversation.Turn(role: Role.system, content: $0) } }

  /// Forgets all but the system's turn.
  public func reset() { (turns, leftOut) = ([], 0) }

  /// The next answer is the base's, or that of what was trained; both go on from the same turns.
  ///
  /// Throws `usage` where there is only the base, or no base.
  public func use(_ side: Side) throws {
    guard side == .base || session.isTuned else {
      throw SFTError(
        .usage, "there is only the base: no run or adapter is used",
        advice: "Start with \(OptionName.adapter) or \(OptionName.run) for both")
    }
    let before = self.side
    self.side = side
    do { _ = try generator() } catch {
      self.side = before
      throw error
    }
  }

  /// Answers `message` and remembers both. Where `isStopped` says so the answer ends early and counts as far as it came; nil
  /// then. What fails leaves the conversation as it was.
  public func answer(
    _ message: String, note: (String) -> Void, isStopped: () -> Bool = { false }, stream: (String) throws -> Void
  ) throws -> Generation? {
    let question = Conversation.Turn(role: Role.user, content: message)
    let prompt = try fitted(question, note: note)
    let generator = try generator()
    var settings = settings
    // Answers do not repeat each other's choices, and the first is that of a lone question.
    settings.seed &+= UInt64(turns.count / 2)
    var said = ""
    var generation: Generation?
    do {
      generation = try generator.generate(prompt, settings) { text in
        if isStopped() { throw Stopped() }
        said += text
        try stream(text)
      }
    } catch is Stopped {
      if said.isEmpty { return nil }
    }
    turns += [question, Conversation.Turn(role: Role.assistant, content: said)]
    return generation
  }

  private struct Stopped: Error {}

  /// Each side keeps the keys and values of the conversation as it sees it.
  private func generator() throws -> Generator {
    if let made = generators[side] {
      made.pass.adapter = side == .tuned ? session.adapter : nil
      return made
    }
    let pass = side == .base ? try session.untuned()?.pass ?? session.pass : session.pass
    let made = try Generator(
      pass, session.base.tokenizer, endTokens: try session.endsOfConversations, retention: .everything)
    generators[side] = made
    return try generator()
  }
}

extension Dialogue {
  /// The prompt of a turn. Where the context is full as many of the oldest exchanges are left out as make room for the answer
  /// and, if that can be, for some turns more, so that the next ones do not begin otherwise again.
  private func fitted(_ question: Conversation.Turn, note: (String) -> Void) throws -> [Int32] {
    let context = session.base.decoder.configuration.contextLength
    let room = context - min(settings.maxNewTokens, context / 4)
    var ids = try prompt(question, without: leftOut)
    if ids.count <= room { return ids }
    let before = leftOut
    var fallback: (count: Int, ids: [Int32])?
    while leftOut < turns.count, ids.count > room - context / 4 {
      leftOut += 2
      ids = try prompt(question, without: leftOut)
      if fallback == nil, ids.count <= room { fallback = (leftOut, ids) }
    }
    if ids.count > room - context / 4, let fallback { (leftOut, ids) = fallback }
    if leftOut > before {
      note(
        "The context of \(grouped(context)) tokens is full: the oldest \(grouped(leftOut)) of \(counted(turns.count, "turn")) "
          + "are no longer shown to the model.")
    }
    return ids
  }

  private func prompt(_ question: Conversation.Turn, without count: Int) throws -> [Int32] {
    let shown = (systemTurn.map { [$0] } ?? []) + turns.dropFirst(count) + [question]
    return try session.prompt(Conversation(form: .messages, turns: shown)).ids
  }
}

extension InferenceSession {
  /// Whether an adapter, or a whole model that a run has made, is used.
  public var isTuned: Bool { adapter != nil || modelRun != nil }

  var endsOfConversations: [Int32] { get throws { endTokens(try layoutOfConversations()) } }

  /// How conversations are laid out, in words.
  ///
  /// Throws `usage` where there is no template.
  public var templateOfConversations: String {
    get throws {
      let layout = try layoutOfConversations()
      switch layout.template {
      case .plain:
        throw SFTError(
          .usage, "a conversation needs a template, and the run or data have none",
          advice: "Give one with \(OptionName.template)")
      case .prompt(let template): return "template \(template.name), turn by turn"
      case .chat(let template, _):
        return layout.name == RecordLayout.modelName
          ? "the model's chat template" : "chat template \(template.name)"
      }
    }
  }
}
