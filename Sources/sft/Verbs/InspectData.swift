import ArgumentParser
import Auditing
import Core
import Kernels
import Pipeline
import Tokenizing

struct InspectData: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "inspect data", abstract: "Show which tokens are trained (coloured, or in brackets), or what is wrong.",
    usage: "[<DIR>] [options]", examples: ["sft inspect data --limit 2", "sft inspect data --doctor --losses"])

  struct Showing: ParsableArguments {
    @Option(
      name: .long,
      help: .takes(
        "N", "Records to show (default: 5; all with --jsonl); with --doctor, of each kind (3; all with --json)."))
    var limit: Int?

    @Flag(name: .long, help: "One JSON object a record: input_ids and labels, -100 where no loss is taken.")
    var jsonl = false

    func validate() throws {
      if let limit, limit < 0 { throw ValidationError("--limit must not be negative.") }
    }
  }

  struct Examination: ParsableArguments {
    @Flag(name: .long, help: "Look for duplicates, contradictions, leaks into validation, cut and empty answers.")
    var doctor = false

    @Option(
      name: .long,
      help: .takes(
        "SHARE",
        "With --doctor: texts are nearly the same from this Jaccard similarity of their word pairs on (default: 0.75).")
    )
    var similarity: Double?

    @Flag(name: .long, help: "With --doctor: rank the records by their loss under the base; slow.")
    var losses = false

    func validate() throws {
      if !doctor, losses { throw ValidationError("--losses needs --doctor.") }
      if !doctor, similarity != nil { throw ValidationError("--similarity needs --doctor.") }
      if let similarity, !(0.5...1).contains(similarity) {
        throw ValidationError("--similarity must be from 0.5 to 1.")
      }
    }
  }

  @Argument(help: .takes("DIR", "A folder that `sft prepare` printed (default: the newest prepared data)."))
  var path: String?

  @OptionGroup(title: "Records") var showing: Showing
  @OptionGroup(title: "Data doctor") var examination: Examination
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws {
    if examination.doctor, showing.jsonl { throw ValidationError("Give --doctor or --jsonl, not both.") }
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, progress: progress.show) { progress.note($0) }
    guard let data = try workspace.preparedData(path, threads: Compute.availableThreads) else {
      throw SFTError(.notFound, "there is no prepared data in \(workspace.path)", advice: "Run `sft prepare` first")
    }
    if examination.doctor {
      try examine(data, workspace, progress)
      return
    }
    if common.json {
      try Terminal.printJSON(data.summary)
      return
    }
    let limit = showing.limit
    if showing.jsonl {
      for position in 0..<min(limit ?? data.count, data.count) {
        let sample = data.sample(position)
        func list(_ numbers: [Int32]) -> String { numbers.map(String.init).joined(separator: ",") }
        print("{\"input_ids\":[\(list(sample.tokens))],\"labels\":[\(list(sample.labels))]}")
      }
      return
    }
    Terminal.show(Prepare.text(data.summary))
    let tokenizer = try workspace.tokenizer(of: data)
    let validation = Set(data.validation)
    for position in 0..<min(limit ?? 5, data.count) {
      let sample = data.sample(position)
      print("")
      print(
        Terminal.style(printable(data.place(position)), "1")
          + "  \(sample.tokens.count) tokens, \(sample.supervisedCount) trained"
          + (validation.contains(position) ? ", for validation" : ""))
      print(try Self.marked(sample, tokenizer))
    }
  }

  private func examine(_ data: PreparedData, _ workspace: Workspace, _ progress: Progress) throws {
    let doctor = try DataDoctor(
      data, workspace: workspace, similarity: examination.similarity ?? Audit.standardThreshold,
      losses: examination.losses,
      threads: Compute.availableThreads
    ) { progress.update($0, of: data.count, "records", isMilestone: false) }
    progress.close()
    if common.json {
      try Terminal.printJSON(showing.limit.map { doctor.report.limited(to: $0) } ?? doctor.report)
    } else {
      print(try DataDoctorView(doctor, limit: showing.limit ?? 3).lines().joined(separator: "\n"))
    }
  }

  /// The text with its trained parts in green on a terminal, in ⟦brackets⟧ elsewhere.
  private static func marked(_ sample: Sample, _ tokenizer: Tokenizer) throws -> String {
    func text(_ range: Range<Int>) throws -> String {
      printable(try tokenizer.decode(Array(sample.tokens[range]), skipSpecialTokens: false))
    }
    var (marked, shown) = ("", 0)
    for range in sample.supervised {
      let trained = try text(range)
      marked += try text(shown..<range.lowerBound)
      marked += Terminal.outputIsTerminal ? Terminal.style(trained, "32") : "⟦\(trained)⟧"
      shown = range.upperBound
    }
    return marked + (try text(shown..<sample.tokens.count))
  }
}
