import Core
import JSON

/// One prompt and how it is to be continued. What is nil was not asked for, and is the engine's to choose.
public struct CompletionRequest: Sendable, Equatable {
  public enum Prompt: Sendable, Equatable {
    /// The array of messages for a chat template, and the array of tools' descriptions, nil where there are none. At
    /// least one message; each is an object with a string `role`, and its `content` is a string, null or missing (texts
    /// in parts have been joined); everything else is as the client has it.
    /// `goesOn`: the last message, the assistant's, is to be gone on with.
    case conversation(JSONValue, tools: JSONValue?, goesOn: Bool)
    /// May be empty.
    case text(String)
    /// Not empty; ids as the client gives them, not negative, otherwise unchecked.
    case tokens([Int32])
  }

  /// The name of a served model, or of what is not one.
  public var model: String
  public var prompt: Prompt
  /// Continuations wanted of this prompt, at least 1.
  public var choices = 1
  /// At least 1.
  public var maxTokens: Int?
  /// 0 to 2; 0 is greedy.
  public var temperature: Double?
  /// In (0, 1].
  public var topP: Double?
  /// At least 1.
  public var topK: Int?
  /// 0 to 1.
  public var minP: Double?
  /// Above 0; 1 changes nothing.
  public var repetitionPenalty: Double?
  public var seed: UInt64?
  /// At most four texts, none empty; what is generated ends before the first of them.
  public var stop: [String] = []
  /// k ≥ 0: the log-probability of each token, and those of the k likeliest in its place; nil for none.
  public var logProbabilities: Int?
  /// Who asks, for the engine's own messages: the address of the other side.
  public var clientName = ""

  public init(model: String, prompt: Prompt) {
    self.model = model
    self.prompt = prompt
  }
}

/// What an engine tells about a request, see `CompletionEngine.submit`.
public enum CompletionEvent: Sendable, Equatable {
  /// It is being computed: its prompt's tokens, and how many of them the cache held.
  case started(promptTokens: Int, cachedTokens: Int)
  /// A choice has grown.
  case text(CompletionPiece)
  /// A choice is whole, with so many tokens generated for it (an end token, where one was, included).
  case finished(choice: Int, reason: FinishReason, tokens: Int)
  /// All choices are whole. Nothing follows.
  case completed
  /// It was given up. Nothing follows. Kinds `usage` and `badData` are the client's fault, `interrupted` says that the
  /// engine is stopping, others are the server's fault.
  case failed(SFTError)
}

/// Text by which a choice has grown: whole characters, so that the pieces together are the choice's text.
public struct CompletionPiece: Sendable, Equatable {
  /// 0 ..< the request's `choices`.
  public var choice: Int
  /// May be empty where there are only tokens to tell of.
  public var text: String
  /// The tokens generated since the last piece, where log-probabilities were asked for; else empty.
  public var tokens: [GeneratedToken]

  public init(choice: Int, text: String, tokens: [GeneratedToken] = []) {
    self.choice = choice
    self.text = text
    self.tokens = tokens
  }
}

/// A token with the alternatives that there were to it.
public struct GeneratedToken: Sendable, Equatable {
  public var chosen: TokenProbability
  /// The k likeliest, the likeliest first; the chosen one is among them where it is one of them.
  public var likeliest: [TokenProbability]

  public init(chosen: TokenProbability, likeliest: [TokenProbability] = []) {
    self.chosen = chosen
    self.likeliest = likeliest
  }
}

public struct TokenProbability: Sendable, Equatable {
  public var token: Int32
  /// What the token stands for, which need not be whole characters.
  public var bytes: [UInt8]
  /// Natural logarithm, at most 0.
  public var logProbability: Double

  public init(token: Int32, bytes: [UInt8], logProbability: Double) {
    self.token = token
    self.bytes = bytes
    self.logProbability = logProbability
  }
}

/// Why a choice ended.
public enum FinishReason: String, Sendable {
  /// The model's end token, or one of the request's own texts.
  case stop
  /// As many tokens as were asked for, or as the model can see.
  case length
}
