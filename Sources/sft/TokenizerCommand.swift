import ArgumentParser
import Core
import Files
import Pipeline

struct TokenizerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenizer", abstract: "Train a tokenizer.", subcommands: [TokenizerTrain.self])
}

struct TokenizerTrain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train a byte-level BPE tokenizer on plain text.",
    discussion: """
      The result is a folder with tokenizer.json, vocab.json, merges.txt and tokenizer_config.json. Its merges are those of
      Hugging Face's ByteLevelBPETokenizer over the same files: each line with its end is a text of its own, and among
      pairs that occur equally often the one of the lower ids is merged first.
      """)

  @Argument(help: "Files of UTF-8 text.")
  var files: [String]

  @Option(name: .long, help: "Tokens, the 256 bytes and <|endoftext|> among them.")
  var vocabSize: Int

  @Option(name: .long, help: "Pairs that occur less often are not merged.")
  var minFrequency = TokenizerTraining.standardMinimumCount

  @Option(name: .long, help: "Folder to write; it must be empty or not there.")
  var to: String

  @Option(name: .long, help: "Threads (default: the cores this process may use).")
  var threads: Int?

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if files.isEmpty { throw ValidationError("Give at least one FILE.") }
    if minFrequency < 1 { throw ValidationError("--min-frequency must be at least 1.") }
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1.") }
  }

  private struct Report: Encodable {
    var path: String
    var tokens: Int
    var merges: Int
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let training = TokenizerTraining(
      files: files, vocabularySize: vocabSize, minimumCount: minFrequency, threads: threads)
    let tokenizer = try training(to: to) { done in
      progress.update(done, of: vocabSize, "tokens", isMilestone: done == vocabSize)
    }
    progress.close()
    if tokenizer.vocabularyCount < vocabSize {
      progress.note(
        "The text has no more pairs that occur \(grouped(minFrequency)) times: there are "
          + "\(grouped(tokenizer.vocabularyCount)) tokens instead of \(grouped(vocabSize)).")
    }
    if common.json {
      try Terminal.printJSON(
        Report(path: to, tokens: tokenizer.vocabularyCount, merges: tokenizer.mergeCount))
    } else {
      let size = "\(grouped(tokenizer.vocabularyCount)) tokens, \(grouped(tokenizer.mergeCount)) merges"
      Terminal.show("\(size): written to \(to)")
    }
  }
}
