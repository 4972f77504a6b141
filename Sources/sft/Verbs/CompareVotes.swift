import Core
import Evaluating
import Files
import Pipeline

/// `sft compare --score`: tells which answer was whose, and counts.
struct CompareVotes {
  let workspace: Workspace
  let file: String
  let out: String?
  let json: Bool
  let note: (String) -> Void

  func callAsFunction() throws {
    let votes = try BlindVotes(path: file)
    let folder = try out ?? find(votes)
    let files = try ComparisonFiles(path: folder + "/compare.json")
    let count = try VoteCount(votes, on: files.comparison, digest: files.digest, file: file)
    try writeAtomically(try files.page(metrics: nil, votes: count), to: folder + "/votes.html")
    if json {
      try Terminal.printJSON(count)
    } else {
      let names = files.comparison.names.map(printable)
      print(
        """
        \(count.count.votes) of \(count.questions) questions voted on
        \(padded(names[1] + " preferred", 18)) \(count.count.tuned)
        \(padded(names[0] + " preferred", 18)) \(count.count.base)
        \(padded("as good", 18)) \(count.count.ties)
        sign test          p \(ComparisonView.probability(count.count.pValue)), ties left out
        """)
    }
    let place = "written to \(folder)/votes.html"
    if json { note(place) } else { Terminal.show(place) }
  }

  /// The comparison of the workspace that the votes are on.
  private func find(_ votes: BlindVotes) throws -> String {
    let folder = workspace.path + "/compare"
    let names = try directoryExists(folder) ? try directoryEntries(folder) : []
    for name in names {
      let path = "\(folder)/\(name)/compare.json"
      if try fileExists(path), try Digest(ofFile: path) == votes.comparison { return "\(folder)/\(name)" }
    }
    throw SFTError(
      .badData, "the votes are on a comparison (\(votes.comparison.short)) that is not in \(folder)", file: file,
      advice: "Give its folder with --out")
  }
}
