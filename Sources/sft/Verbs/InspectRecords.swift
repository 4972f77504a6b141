import ArgumentParser
import Core
import Files
@preconcurrency import Glibc  // for stdout
import Loading

struct InspectRecords: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "inspect records",
    abstract: "Show what a data file holds, as JSON Lines: of Parquet, CSV, TSV, JSON, compressed or not.",
    usage: "<FILE> [options]",
    examples: ["sft inspect records train.parquet --limit 3", "sft inspect records table.csv.gz"])

  struct Showing: ParsableArguments {
    @Option(name: .long, help: .takes("N", "Rows to show (default: all)."))
    var limit: Int?

    func validate() throws {
      if let limit, limit < 0 { throw ValidationError("--limit must not be negative.") }
    }
  }

  @Argument(help: .takes("FILE", "A file of records; - for standard input."))
  var file: String

  @OptionGroup(title: "Records") var showing: Showing

  func run() throws {
    var left = showing.limit ?? .max
    if left == 0 { return }
    try forEachRow(try MappedFile(input: file)) { row in
      fwrite(row.baseAddress, 1, row.count, stdout)
      guard putchar(10) >= 0 else { return false }
      left -= 1
      return left > 0
    }
  }
}
