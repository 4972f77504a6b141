import ArgumentParser
import Core
import Files
import Glibc
import Pipeline
import Serving

struct Serve: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "serve", abstract: "Answer over HTTP as OpenAI's API does, base and adapters in one batch.",
    discussion: """
      /v1/chat/completions, /v1/completions and /v1/models for any client of that API; a page at / to compare base and adapters \
      side by side; /health and /metrics. A request's `model` says whether the base or one of the adapters answers. $SFT_API_KEY, \
      if set, is a key that clients must give; several are separated by commas. Ctrl-C or SIGTERM takes no more requests and \
      finishes what runs.
      """,
    examples: [
      "sft serve",
      "sft serve --model smollm2 --adapter korean=out/ko --port 9000",
    ])

  struct Models: ParsableArguments {
    @Option(
      name: .long,
      help: .takes(
        "NAME=DIR",
        "Adapter to serve as a model of that name; may be given several times (default: the newest run's, unless \(OptionName.model) is given).",
      ), transform: { try ServedAdapter($0) })
    var adapter: [ServedAdapter] = []

    @Flag(name: .long, help: "Serve the base alone.")
    var base = false

    @Option(name: .long, help: .takes("NAME", "What requests call the base (default: its folder's name)."))
    var servedName: String?

    @Flag(name: .long, help: "Let clients load and drop adapters: they name folders of this machine.")
    var allowAdapterLoading = false

    @OptionGroup var rounding: RoundingOptions
  }

  struct Listening: ParsableArguments {
    @Option(name: .long, help: .takes("ADDRESS", "Address to listen on; 0.0.0.0 for all of this machine's."))
    var host = "127.0.0.1"

    @Option(name: .long, help: .takes("N", "Port to listen on; 0 for a free one."))
    var port = 8080

    @Option(
      name: .long, help: .takes("NAME", "Other name that this machine is reached by; may be given several times."))
    var allowHost: [String] = []

    @Option(
      name: .long,
      help: .takes(
        "ORIGIN", "Pages that may use this server from a browser, as https://a.org; may be given several times."))
    var allowOrigin: [String] = []

    @Flag(name: .long, help: "Write each request's prompt to the log, too.")
    var logPrompts = false
  }

  struct Limits: ParsableArguments {
    @Option(name: .long, help: .takes("N", "Answers that are continued at once."))
    var parallel = 16

    @Option(name: .long, help: .takes("N", "Answers that may wait; beyond that clients are told to come again."))
    var queue = 256

    @Option(
      name: .long,
      help: .takes("MIB", "Memory for keys and values (default: half of what is free when the model is open)."))
    var cacheMemory: Int?

    @Option(
      name: .long,
      help: .takes("N", "Longest answer of a request that names no limit (default: what the context leaves)."))
    var maxNewTokens: Int?

    @Option(name: .long, help: .takes("N", "Largest body of a request, in KiB."))
    var maxBody = 4096

    @Option(name: .long, help: .takes("N", "Connections that are open at once."))
    var maxConnections = 256

    @Option(name: .long, help: .takes("SECONDS", "Longest time of a request, waiting included."))
    var requestTimeout = 3600.0

    @Option(name: .long, help: .takes("SECONDS", "How long running requests may go on when the server is to stop."))
    var drainTimeout = 300.0

    func validate() throws {
      try atLeast(1, parallel, "--parallel")
      try atLeast(0, queue, "--queue")
      try atLeast(1, cacheMemory, "--cache-memory")
      try atLeast(1, maxNewTokens, "--max-new-tokens")
      for (value, name) in [(maxBody, "--max-body"), (maxConnections, "--max-connections")] {
        guard (1...1 << 24).contains(value) else { throw ValidationError("\(name) must be from 1 to 16777216.") }
      }
      guard requestTimeout > 0, drainTimeout >= 0, max(requestTimeout, drainTimeout) <= 1e7 else {
        throw ValidationError("A time must be above 0 and at most 10^7 seconds.")
      }
      guard cacheMemory ?? 1 <= 1 << 30 else { throw ValidationError("--cache-memory is in MiB.") }
    }
  }

  @OptionGroup(title: "Models") var served: Models
  @OptionGroup(title: "Model") var model: ModelOptions
  @OptionGroup(title: "Listening") var listening: Listening
  @OptionGroup(title: "Limits") var limits: Limits
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws {
    if served.base, !served.adapter.isEmpty {
      throw ValidationError("--base serves no adapter: leave \(OptionName.adapter) out.")
    }
  }

  private struct Started: Encodable {
    var url: String
    var host: String
    var port: Int
    var models: [String]
  }

  func run() throws {
    signal(SIGPIPE, SIG_IGN)
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, remark: progress.remark, progress: progress.show) { progress.note($0) }
    let settings = try serverSettings()
    try settings.validate()
    let session = try InferenceSession(inferenceOptions, workspace: workspace)
    let first = inferenceOptions.adapter == nil ? nil : served.adapter.first
    let engine = try GenerationEngine(
      session, engineSettings, baseName: served.servedName ?? (session.tunedRun ?? session.base.shortName),
      adapterName: first?.name ?? session.runName,
      adapters: served.adapter.dropFirst(first == nil ? 0 : 1).map { ($0.name, $0.folder) }, force: model.weights.force)
    progress.note("\(session.base.name) with \(session.description)")
    progress.close()
    let (quiet, logsPrompts) = (common.quiet, listening.logPrompts)
    let server = try CompletionServer(engine, settings) { entry in
      if !quiet { Terminal.write(Self.line(entry, logsPrompts: logsPrompts) + "\n") }
    }
    Interrupt.stopsOrderly()
    let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
    let models = engine.models.map(\.id)
    if common.json {
      try Terminal.printJSON(
        Started(url: "http://\(host):\(server.port)", host: settings.host, port: server.port, models: models))
    } else {
      print("http://\(host):\(server.port) serves \(models.joined(separator: ", "))")
    }
    fflush(nil)
    while !Interrupt.requested { usleep(50_000) }
    if !quiet { Terminal.write("Stopping: what runs is finished first. Again to stop at once.\n") }
    server.stop(within: limits.drainTimeout)
    engine.stop()
  }

  private var inferenceOptions: InferenceOptions {
    var options = InferenceOptions(model)
    options.baseOnly = served.base
    options.rowPrecision = served.rounding.rowPrecision
    options.usesPanels = true
    // The first adapter says what its base is, where nothing else does.
    if model.weights.run == nil, model.weights.checkpoint == nil { options.adapter = served.adapter.first?.folder }
    return options
  }

  private var engineSettings: EngineSettings {
    var settings = EngineSettings()
    (settings.width, settings.queue, settings.maxTokens) = (limits.parallel, limits.queue, limits.maxNewTokens)
    settings.cacheBytes = limits.cacheMemory.map { $0 << 20 }
    return settings
  }

  private func serverSettings() throws -> ServerSettings {
    var settings = ServerSettings()
    (settings.host, settings.port) = (listening.host, listening.port)
    if let keys = getenv("SFT_API_KEY") {
      settings.apiKeys = String(cString: keys).split(separator: ",").map(String.init)
      // An empty variable is a mistake that would open the server to all.
      if settings.apiKeys.isEmpty { throw SFTError(.usage, "SFT_API_KEY is there and holds no key") }
    }
    settings.allowedOrigins = listening.allowOrigin
    settings.allowedHosts = listening.allowHost
    settings.allowsAdapterLoading = served.allowAdapterLoading
    settings.logsPrompts = listening.logPrompts
    settings.bodyBytes = limits.maxBody << 10
    settings.allBodiesBytes = max(settings.allBodiesBytes, settings.bodyBytes)
    settings.connections = limits.maxConnections
    settings.requestSeconds = limits.requestTimeout
    return settings
  }

  /// Without anything that acts on a terminal.
  private static func line(_ entry: ServerLogEntry, logsPrompts: Bool) -> String {
    var words = ["\(entry.client) \(entry.method) \(entry.path) \(entry.status)"]
    if let model = entry.model { words.append(printable(model)) }
    if entry.promptTokens > 0 || entry.generatedTokens > 0 {
      words.append("\(entry.promptTokens) + \(entry.generatedTokens) tokens")
    }
    words.append("\(fixed(entry.seconds, 3)) s")
    if let failure = entry.failure { words.append(printable(failure)) }
    if logsPrompts, let prompt = entry.prompt { words.append(printable(prompt)) }
    return words.joined(separator: ", ")
  }
}

/// An adapter under the name that requests call it.
struct ServedAdapter: Sendable {
  var name: String
  var folder: String

  /// `NAME=DIR`, or a folder whose own name is meant.
  init(_ text: String) throws {
    if let sign = text.firstIndex(of: "="), sign > text.startIndex, text.index(after: sign) < text.endIndex,
      !text[..<sign].contains("/")
    {
      (name, folder) = (String(text[..<sign]), String(text[text.index(after: sign)...]))
    } else {
      guard let last = text.split(separator: "/").last, !last.contains("=") else {
        throw ValidationError("\(OptionName.adapter) takes NAME=DIR.")
      }
      (name, folder) = (String(last), text)
    }
  }
}
