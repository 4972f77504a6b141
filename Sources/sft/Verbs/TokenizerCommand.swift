import ArgumentParser
import Core
import Files
import Pipeline

struct TokenizerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenizer", abstract: "Train a tokenizer.", usage: "sft tokenizer train <FILE> ... [options]",
    subcommands: [TokenizerTrain.self])
}

struct TokenizerTrain: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "tokenizer train", abstract: "Train a byte-level BPE tokenizer on plain text.",
    usage: "<FILE> ... \(OptionName.vocabSize) <N> \(OptionName.to) <DIR> [options]",
    discussion: """
      The result is a folder with tokenizer.json, vocab.json, merges.txt and tokenizer_config.json. Its merges are those \
      of Hugging Face's ByteLevelBPETokenizer over the same files: each line with its end is a text of its own, and \
      among pairs that occur equally often the one of the lower ids is merged first.
      """,
    examples: [
      "sft tokenizer train book.txt --vocab-size 8000 --to tokenizer",
      "sft tokenizer train a.txt b.txt --vocab-size 32000 --to tok --min-frequency 5",
    ])

  struct Settings: ParsableArguments {
    @Option(name: .long, help: .takes("N", "Tokens, the 256 bytes and <|endoftext|> among them."))
    var vocabSize: Int

    @Option(name: .long, help: .takes("DIR", "Folder to write; it must be empty or not there."))
    var to: String

    @Option(name: .long, help: .takes("N", "Pairs that occur less often are not merged."))
    var minFrequency = TokenizerTraining.standardMinimumCount

    func validate() throws { try atLeast(1, minFrequency, "--min-frequency") }
  }

  @Argument(help: .takes("FILE", "Files of UTF-8 text."))
  var files: [String]

  @OptionGroup(title: "Tokenizer") var settings: Settings
  @OptionGroup(title: "Computing") var computing: ThreadOption
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws {
    if files.isEmpty { throw ValidationError("Give at least one FILE.") }
  }

  private struct Report: Encodable {
    var path: String
    var tokens: Int
    var merges: Int
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let (size, count, folder) = (settings.vocabSize, settings.minFrequency, settings.to)
    let training = TokenizerTraining(
      files: files, vocabularySize: size, minimumCount: count, threads: computing.threads)
    let tokenizer = try training(to: folder) { done in
      progress.update(done, of: size, "tokens", isMilestone: done == size)
    }
    progress.close()
    if tokenizer.vocabularyCount < size {
      progress.note(
        "The text has no more pairs that occur \(grouped(count)) times: there are "
          + "\(grouped(tokenizer.vocabularyCount)) tokens instead of \(grouped(size)).")
    }
    if common.json {
      try Terminal.printJSON(
        Report(path: folder, tokens: tokenizer.vocabularyCount, merges: tokenizer.mergeCount))
    } else {
      let size = "\(grouped(tokenizer.vocabularyCount)) tokens, \(grouped(tokenizer.mergeCount)) merges"
      Terminal.show("\(size): written to \(folder)")
    }
  }
}
