import ArgumentParser
import Core
import Evaluating
import Pipeline

struct InspectActivations: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "inspect activations",
    abstract: """
      What every part of a model gives for a text, layer by layer: shape, norm, mean, and the first and last values at the \
      last token. In sft's sources Tests/Fixtures/inspect_activations.py gives the same of transformers, and compares \
      the two.
      """,
    usage: "\(OptionName.text) <TEXT> [options]",
    examples: [
      #"sft inspect activations --model path/to/llama --text "Name a fruit." --json"#,
      #"sft inspect activations --text "Name a fruit." --every-position"#,
    ])

  struct Showing: ParsableArguments {
    @Option(name: .long, help: .takes("WORDS", "The text, taken as it is; - reads it from standard input."))
    var text: String

    @Flag(name: .long, help: "Each token apart.")
    var everyPosition = false
  }

  @OptionGroup(title: "Text") var showing: Showing
  @OptionGroup(title: "Model") var choice: AdapterChoice
  @OptionGroup(title: "Model") var weights: WeightsOptions
  @OptionGroup(title: "General") var common: CommonOptions

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, remark: progress.remark, progress: progress.show) { progress.note($0) }
    let text = try textArgument(showing.text)
    var options = InferenceOptions(weights)
    options.apply(choice)
    options.usesTemplate = false
    let session = try InferenceSession(options, workspace: workspace)
    progress.note("\(session.base.name) with \(session.description)")
    let report = try session.activations(of: text, everyPosition: showing.everyPosition)
    progress.close()
    if common.json {
      try Terminal.printJSON(report)
    } else {
      for part in report.parts { Terminal.show(Self.line(part)) }
    }
  }

  /// Columns of fixed width, as `inspect_activations.py` prints them, so that the two can be compared line by line.
  private static func line(_ part: ActivationReport.Part) -> String {
    func right(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    func number(_ value: Double?) -> String { right(value.map { significant($0, 4) } ?? "nan", 10) }
    func numbers(_ values: [Float?]) -> String { values.map { number($0.map(Double.init)) }.joined(separator: "  ") }
    let name = part.part + String(repeating: " ", count: max(0, 21 - part.part.count))
    let position = part.position.map { "  " + right("\($0)", 8) } ?? ""
    let shape = right(part.shape.map(String.init).joined(separator: "×"), 12)
    return right(part.layer.map(String.init) ?? "", 5) + "  \(name)\(position)  \(shape)  \(number(part.norm))  "
      + "\(number(part.mean))  \(numbers(part.first))  …\(numbers(part.last))"
  }
}
