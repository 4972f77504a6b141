import Core
import Files
import Loading

/// How data are read and laid out, which `sft prepare` is told once for all.
struct DataShape {
  var template: String?
  var format: String?
  /// Columns by the fields that they hold.
  var columns: [String: String] = [:]
  var trainOn: String?
  /// Fields that the other tool does not read of these data, and sft does where they are there.
  var unread: [String] = []
}

extension ForeignMapping {
  /// Whether data of this shape go with those that were taken before.
  mutating func admits(_ new: DataShape) -> Bool {
    guard var first = shape else {
      shape = new
      return true
    }
    guard first.template == new.template, first.columns == new.columns, first.trainOn == new.trainOn else {
      return false
    }
    if first.format != new.format {
      guard first.columns.isEmpty else { return false }
      // Each file's is told by its members.
      first.format = nil
      shape = first
    }
    return true
  }

  /// What the data that were taken have in common.
  mutating func takeShape(_ key: String) {
    guard let shape else { return }
    if let template = shape.template { add(key, .prepare, "template", template) }
    if let format = shape.format { add(key, .prepare, "data-format", format) }
    if let trainOn = shape.trainOn { add(key, .prepare, "train-on", trainOn) }
    if !shape.unread.isEmpty {
      note(
        "Their columns leave out \(shape.unread.joined(separator: ", ")); sft reads such a member where a record has one, and the "
          + "result then differs.")
    }
    if !shape.columns.isEmpty {
      let columns = shape.columns.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
      add(key, .prepare, "columns", columns.joined(separator: ","))
    }
  }

  private static let endings = [".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", ".gz", ".zst"]

  /// Data as `sft prepare` names them: a path, or a dataset of the hub and its part; nil where the part has no name.
  func dataName(_ name: String, part: String?) -> String? {
    var wanted = DataFolder.Split.train
    if let part {
      guard let named = DataFolder.Split(named: part) else { return nil }
      wanted = named
    }
    let isPath =
      [".", "/", "~"].contains { name.hasPrefix($0) } || Self.endings.contains { name.hasSuffix($0) }
      || (try? fileExists(name)) == true
    if wanted == .train {
      // A name without an owner is taken for a file's unless a part goes with it.
      return isPath || name.contains("/") ? name : name + ":train"
    }
    return isPath ? nil : "\(name):\(wanted.rawValue)"
  }

  /// Takes data by their name; false where sft cannot name them, which is then told.
  mutating func takeData(
    _ given: ForeignSetting, name: String, part: String?, option: String = "files"
  ) throws -> Bool {
    if name.isEmpty || name.hasPrefix("-") { throw given.failure("must be a file, a folder or a dataset") }
    guard let data = dataName(name, part: part) else {
      leave(given, "its part \(quotedList([part ?? ""])) has no name in sft: give the files", .differs)
      return false
    }
    add(given.key, .prepare, option, data)
    return true
  }

  /// Takes an element of a list of datasets: by its path, or by files where the path is no more than their format.
  mutating func takeDataset(
    _ element: ForeignSetting, path: ForeignSetting?, files: ForeignSetting?, part: ForeignSetting?,
    option: String = "files"
  ) throws {
    let name = try path?.text()
    if let files, ["json", "csv", "parquet", "text"].contains(name ?? "json") {
      let names = files.isObject ? [] : try files.names()
      if names.isEmpty || (option != "files" && names.count > 1) {
        leave(files, "give the files of each part", .differs)
      } else {
        for file in names { _ = try takeData(files, name: file, part: nil, option: option) }
      }
    } else if let path, let name {
      _ = try takeData(path, name: name, part: try part?.text(), option: option)
      if let files { leave(files, "sft takes all files of a dataset", .differs) }
    } else {
      throw element.failure("has no path")
    }
  }

  /// A share of the records for validation. False where there is none, or it is not known.
  mutating func takeValidationShare(_ given: ForeignSetting) throws -> Bool {
    let size = try given.number(in: 0...1e12)
    if size < 1 {
      take(given, .prepare, "val", plainNumber(size))
      return size > 0
    }
    leave(given, "a number of records; sft takes a share: \(OptionName.val) (0.05 stands)", .differs)
    return true
  }

  /// Says so where no data were taken.
  mutating func noteMissingData() {
    if !has("files") { note("No data were taken: name them, `sft prepare FILE … --config …`.") }
  }
}
