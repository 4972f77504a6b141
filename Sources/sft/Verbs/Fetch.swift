import ArgumentParser
import Core
import Glibc
import Hub
import Pipeline

struct Fetch: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "fetch", abstract: "Download a model or a dataset from the Hugging Face hub into its local cache.",
    usage: "<NAME> [options]",
    discussion: """
      The cache is laid out as the hub's own Python library does ($HF_HUB_CACHE, else $HF_HOME/hub, else \
      ~/.cache/huggingface/hub), so each finds what the other fetched. Of a model that is its configuration, its \
      tokenizer and its weights in safetensors; of a dataset its files in Parquet, JSON, JSON Lines, CSV and TSV. A \
      download that was cut goes on where it was; every file's hash is checked.

      For private and gated repositories set HF_TOKEN to a token; it is sent to the hub alone. HF_ENDPOINT names a \
      mirror; HTTPS_PROXY and NO_PROXY work as everywhere.
      """,
    examples: [
      "sft fetch HuggingFaceTB/SmolLM2-135M-Instruct", "sft fetch tatsu-lab/alpaca --dataset",
      "sft fetch openai-community/gpt2 --revision refs/pr/1",
    ])

  struct FetchFlags: ParsableArguments {
    @Flag(name: .long, help: "It is a dataset, not a model.")
    var dataset = false

    @Option(name: .long, help: .takes("NAME", "Branch, tag, commit, or refs/pr/N."))
    var revision = "main"

    @Option(
      name: .long,
      help: .takes(
        "PATTERN",
        "Only files whose path is like this: * for any letters, ? for one; may be given several times."))
    var include: [String] = []
  }

  @Argument(help: .takes("NAME", "The repository: owner/name."))
  var name: String

  @OptionGroup(title: "Fetching") var what: FetchFlags
  @OptionGroup(title: "General") var common: QuietOptions

  func run() throws {
    guard let name = HubName(what.dataset ? .dataset : .model, name) else {
      throw SFTError(.usage, "\(quoted(name)) is no name of a repository", advice: "Names are owner/name")
    }
    Interrupt.stopsOrderly()
    let progress = Progress(quiet: common.quiet)
    let start = ContinuousClock.now
    var shown: (name: String, work: WorkProgress)?
    let fetch = try HubFetch(
      HubFetch.Options(name, revision: what.revision, include: what.include), environment: HubEnvironment(),
      remark: { progress.note($0) }, pause: { try Self.pause($0, progress) },
      progress: { state in
        let work = WorkProgress(
          "fetching \(state.file)", done: state.done, of: state.total,
          seconds: (ContinuousClock.now - start) / .seconds(1))
        shown = (state.file, work)
        try progress.showOrStop(work)
      })
    let result = try fetch()
    progress.close()
    if let shown, shown.work.seconds > 1 {
      progress.note("\(byteCount(result.fetchedBytes)) in \(clockTime(shown.work.seconds)).")
    }
    if common.json { return try Terminal.printJSON(result) }
    let cached = result.files.count(where: \.cached)
    Terminal.show(
      "\(result.kind) \(result.name) at \(result.commit.prefix(8)) (\(result.revision)): "
        + "\(counted(result.files.count, "file")), \(byteCount(result.bytes))"
        + (cached == 0 ? "" : cached == result.files.count ? "; all were there" : "; \(cached) were there"))
    Terminal.show(result.path)
    let isDefault = what.revision == "main"
    Terminal.show(
      what.dataset
        ? "sft prepare \(isDefault ? result.name : result.path)"
        : "sft prepare FILE --model \(isDefault ? result.name : result.path)")
  }

  /// Waits, but for somebody who wants to stop.
  private static func pause(_ seconds: Double, _ progress: Progress) throws {
    let end = ContinuousClock.now + .seconds(seconds)
    repeat {
      if Interrupt.requested {
        progress.close()
        throw SFTError(
          .interrupted, "stopped while fetching; what is done is kept", advice: "Go on with the same command")
      }
      usleep(100_000)
    } while ContinuousClock.now < end
  }
}
