import ArgumentParser
import Core
import Pipeline

struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Settings: those of another tool, and what there is to set.",
    usage: "sft config from|options", subcommands: [ConfigFrom.self, ConfigOptions.self])
}

struct ConfigFrom: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "config from", abstract: "Turn the settings of TRL, axolotl or LLaMA-Factory into sft's own.",
    usage: "<FILE> [options]",
    discussion: """
      Writes two settings files, prepare.yaml and train.yaml, for `sft prepare --config` and `sft train --config`, and \
      tells what was taken, what was left out and why. Taken is what means the same. What is not said in FILE is what \
      the other tool does then, and is written where sft would do something else.
      """,
    examples: [
      "sft config from qlora.yml", "sft config from sft.yaml --tool trl --to settings --overwrite",
    ])

  struct Target: ParsableArguments {
    @Option(name: .long, help: .takes("NAME", "Whose settings they are (default: told by their keys)."))
    var tool: ForeignTool?

    @Option(
      name: .long,
      help: .takes("DIR", "Folder for the two files, made where it is not there (default: the current one)."),
      completion: .directory)
    var to: String?

    @Flag(name: .long, help: "Replace files of these names in \(OptionName.to).")
    var overwrite = false

    func validate() throws {
      if let to, to.isEmpty { throw ValidationError("\(OptionName.to) takes a folder.") }
    }
  }

  @Argument(help: .takes("FILE", "Settings in YAML or JSON."))
  var file: String

  @OptionGroup(title: "Settings") var target: Target
  @OptionGroup(title: "General") var common: QuietOptions

  func run() throws {
    let source = try ForeignFile(file)
    let tool = try target.tool ?? ForeignTool(of: source)
    let conversion = try ForeignConversion(source, tool)
    let files = try conversion.write(to: target.to ?? ".", replacing: target.overwrite)
    let view = ForeignView(conversion, files: files)
    if common.json {
      try Terminal.printJSON(view.report)
    } else {
      for line in view.lines { Terminal.show(line) }
    }
  }
}

struct ConfigOptions: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "config options", abstract: "The options of a verb as a table in Markdown.", usage: "<VERB>... [options]",
    discussion: """
      Made from what the verb itself is parsed by. A name without its dashes is the name in a settings file. Of `sft \
      train` and `sft pretrain` the table says which options a run that is gone on with may be given anew.
      """,
    examples: ["sft config options train", "sft config options inspect data --json"])

  @Argument(help: .takes("VERB", "The verb, in one word or two."))
  var verb: [String]

  @OptionGroup(title: "General") var common: QuietOptions

  func run() throws {
    let (names, command, rest) = TypedArguments(verb).resolve()
    guard rest.isEmpty, names.count > 1, command.configuration.subcommands.isEmpty else {
      throw SFTError(
        .usage, "there is no verb \(quoted(verb.joined(separator: " "))) with options",
        advice: "`sft --help` lists the verbs")
    }
    let listing = OptionListing(try OptionTable(command), isTraining: ["train", "pretrain"].contains(names[1]))
    if common.json { try Terminal.printJSON(listing.rows) } else { print(listing.markdown) }
  }
}
