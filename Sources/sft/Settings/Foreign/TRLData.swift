import Core

extension ForeignMapping {
  /// Data and validation records. Returns whether there are any of the latter.
  mutating func takeTRLData() throws -> Bool {
    let (new, old) = (find("eval_strategy"), find("evaluation_strategy"))
    let strategy = try (new ?? old)?.text().lowercased()
    let validates = strategy == "steps" || strategy == "epoch"
    if let list = find("datasets") {
      leaveAll(["dataset_name", "dataset_train_split", "dataset_test_split"], "datasets takes its place")
      for element in try list.elements() { try takeTRLDataset(element) }
      if let share = find("test_split_size") {
        if validates { _ = try takeValidationShare(share) } else { leave(share, "nothing validates there") }
      }
    } else if let name = find("dataset_name") {
      let (train, test) = (find("dataset_train_split"), find("dataset_test_split"))
      if try takeData(name, name: try name.text(), part: try train?.text()), let train {
        leave(train, "part of the name of the data")
      }
      if validates {
        let part = try test?.text() ?? "test"
        _ = try takeData(name, name: try name.text(), part: part, option: "val-file")
        if let test { leave(test, "part of the name of the validation data") }
      } else if let test {
        leave(test, "nothing validates there")
      }
    }
    if !validates { state("eval_strategy", .prepare, "val", "0") }
    noteMissingData()
    return validates
  }

  /// One of several datasets, mixed as they are.
  private mutating func takeTRLDataset(_ element: ForeignSetting) throws {
    var dataset = try element.members()
    let (path, files, part) = (dataset.find("path"), dataset.find("data_files"), dataset.find("split"))
    try takeDataset(element, path: path, files: files, part: part)
    if let columns = dataset.find("columns") { leave(columns, "sft reads the columns that it needs") }
    for given in dataset.rest { leave(given, "not supported", .differs) }
  }
}
