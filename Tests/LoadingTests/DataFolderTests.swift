import Core
import Files
import Loading
import TestSupport
import Testing

@Suite struct DataFolderTests {
  private func withFiles<Result>(_ names: [String], _ body: (DataFolder) throws -> Result) throws -> Result {
    try withTemporaryFolder { folder in
      for name in names {
        if name.contains("/") { try createDirectory(folder + "/" + parentPath(name)) }
        try writeAtomically(Array("x".utf8), to: folder + "/" + name)
      }
      return try body(try DataFolder(folder))
    }
  }

  private func names(_ files: [String], _ folder: DataFolder) -> [String] {
    files.map { String($0.dropFirst(folder.path.count + 1)) }
  }

  static let layouts: [(files: [String], train: [String], validation: [String], test: [String])] = [
    // As the hub, mlx-lm and people name them.
    (
      [
        "README.md", "data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet",
        "data/test-00000-of-00001.parquet",
      ],
      ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"], [],
      ["data/test-00000-of-00001.parquet"]
    ),
    (["train.jsonl", "valid.jsonl", "test.jsonl"], ["train.jsonl"], ["valid.jsonl"], ["test.jsonl"]),
    (["train/a.csv", "dev/b.csv.gz"], ["train/a.csv"], ["dev/b.csv.gz"], []),
    (
      ["a.json", "b.jsonl.zst", "dataset_info.json", "model.index.json", ".hidden.json"], ["a.json", "b.jsonl.zst"], [],
      []
    ),
    // A word within a word is none.
    (["constrained.jsonl", "latest.tsv"], ["constrained.jsonl", "latest.tsv"], [], []),
    (["alpaca_train.json", "alpaca_eval.json"], ["alpaca_train.json"], [], ["alpaca_eval.json"]),
  ]

  @Test(arguments: layouts) func partsAreToldByNames(
    _ layout: (files: [String], train: [String], validation: [String], test: [String])
  ) throws {
    try withFiles(layout.files) { (folder: DataFolder) throws -> Void in
      #expect(names(try folder.files(.train), folder) == layout.train)
      for (split, expected) in [(DataFolder.Split.validation, layout.validation), (.test, layout.test)] {
        if expected.isEmpty {
          #expect(throws: SFTError.self) { try folder.files(split) }
        } else {
          #expect(names(try folder.files(split), folder) == expected)
        }
      }
    }
  }

  private func failure(_ names: [String]) -> String? {
    do {
      _ = try withFiles(names) { try $0.files(.train) }
      return nil
    } catch {
      return (error as? SFTError).map { "\($0.kind): \($0.message)" + ($0.advice.map { ". " + $0 } ?? "") }
    }
  }

  @Test func whatCannotBeChosenIsSaid() {
    let none = "notFound: the folder has no data files (Parquet, JSON Lines, JSON, CSV, TSV)"
    #expect(failure(["notes.txt", "config.json"]) == none)
    #expect(failure(["data-00000-of-00001.arrow", "state.json"])?.contains("to_parquet") == true)
    #expect(failure(["test.jsonl"]) == "notFound: there is no train part; there are \"test\"")
    #expect(
      failure(["en/train.jsonl", "ko/train.jsonl"])
        == "notFound: its files stand in several folders: \"en\" and \"ko\". Give one of those folders, or the files that are meant"
    )
  }
}
