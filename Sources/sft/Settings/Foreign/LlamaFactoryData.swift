import Core
import Files
import JSON

extension ForeignMapping {
  /// Data and validation records. Returns whether there are any of the latter.
  mutating func takeFactoryData() throws -> Bool {
    let folder = find("dataset_dir")
    let catalog = try FactoryCatalog(folder, beside: path)
    if let folder { leave(folder, "where dataset_info.json is looked for") }
    try takeFactoryLayout()
    if let given = find("dataset") {
      for name in try given.texts() { try takeFactoryDataset(name, given, catalog, option: "files") }
    }
    let validates = try takeFactoryValidation(catalog)
    takeShape("dataset")
    noteMissingData()
    return validates
  }

  private mutating func takeFactoryValidation(_ catalog: FactoryCatalog) throws -> Bool {
    let (held, share) = (find("eval_dataset"), find("val_size"))
    if let held {
      if let share { leave(share, "eval_dataset takes its place") }
      let names = try held.texts()
      if names.count == 1 {
        try takeFactoryDataset(names[0], held, catalog, option: "val-file")
      } else {
        leave(held, "sft takes one: \(OptionName.valFile)", .differs)
      }
      return true
    }
    if let share { return try takeValidationShare(share) }
    state("val_size", .prepare, "val", "0")
    return false
  }

  /// Which template, and what is trained.
  private mutating func takeFactoryLayout() throws {
    if let given = find("template") {
      let name = try given.text()
      switch name {
      case "alpaca":
        take(given, .prepare, "template", "alpaca")
        note("sft's alpaca template has a heading for inputs, LLaMA-Factory's has not.")
      case "default", "vanilla", "empty", "fewshot":
        leave(given, "sft has no such template: write one to a file for \(OptionName.template)", .differs)
      default:
        take(given, .prepare, "template", "model")
        note("\(quotedList([name])) is taken to be the model's own chat template; sft render shows that.")
      }
    } else {
      state("template", .prepare, "template", "model")
    }
    let (prompts, history) = (find("train_on_prompt"), find("mask_history"))
    for (given, value) in [(prompts, "all"), (history, "last")] {
      guard let given else { continue }
      if try given.flag() { take(given, .prepare, "train-on", value) } else { leave(given, Self.usual) }
    }
  }

  private mutating func takeFactoryDataset(
    _ name: String, _ given: ForeignSetting, _ catalog: FactoryCatalog, option: String
  ) throws {
    guard let entry = catalog.entry(name) else {
      leave(name, of: given, catalog.missing)
      return
    }
    let dataset = FactoryDataset(entry)
    if let fault = dataset.fault {
      leave(name, of: given, fault)
      return
    }
    guard admits(dataset.shape) else {
      leave(name, of: given, "laid out unlike the data before it: prepare it apart")
      return
    }
    let isTaken: Bool
    if let file = entry["file_name"]?.string {
      isTaken = try takeData(given, name: catalog.folder.map { "\($0)/\(file)" } ?? file, part: nil, option: option)
    } else {
      isTaken = try takeData(
        given, name: entry["hf_hub_url"]?.string ?? name, part: entry["split"]?.string ?? "train", option: option)
    }
    guard isTaken else { return }
    for member in ["subset", "folder", "num_samples"] where entry[member]?.isNull == false {
      leave(name, of: given, "\(member) of dataset_info.json is not supported")
    }
  }
}

/// LLaMA-Factory's list of datasets, `dataset_info.json`.
struct FactoryCatalog {
  /// Where it was found, as a path that is good from here.
  let folder: String?
  private let entries: JSONValue?
  /// Whether the names are the hub's.
  private let isOnline: Bool
  /// Why a dataset is left out that is not in it.
  let missing: String

  private static let mostBytes = 16 << 20

  /// Looked for in `given`, the tool's own `data` where that is nil: from here, from the settings file, and beside it.
  init(_ given: ForeignSetting?, beside path: String) throws {
    let name = try given?.text() ?? "data"
    let parent = parentPath(path)
    let file = "dataset_info.json"
    isOnline = name == "ONLINE"
    let folders = isOnline || name.hasPrefix("REMOTE:") ? [] : [name, "\(parent)/\(name)", parent]
    folder = folders.first { (try? fileExists("\($0)/\(file)")) == true }
    entries = try folder.map { try parseJSONFile("\($0)/\(file)", limit: Self.mostBytes) }
    missing = folder == nil ? "there is no \(file) in \(name): name the data's files" : "not in \(folder ?? "")/\(file)"
  }

  func entry(_ name: String) -> JSONValue? {
    if isOnline { return .object(JSONObject([("hf_hub_url", .string(name))])) }
    guard let entry = entries?[name], entry.object != nil else { return nil }
    return entry
  }
}

/// An entry of the list.
struct FactoryDataset {
  private(set) var shape = DataShape()
  /// Why sft cannot read it.
  private(set) var fault: String?

  private static let tags: [(name: String, usual: String, known: [String])] = [
    ("role_tag", "from", ["from", "role"]), ("content_tag", "value", ["value", "content"]),
    ("user_tag", "human", ["human", "user"]), ("assistant_tag", "gpt", ["gpt", "assistant"]),
    ("observation_tag", "observation", ["observation", "tool", "function"]),
    ("function_tag", "function_call", ["function_call"]), ("system_tag", "system", ["system"]),
  ]
  private static let fields = [
    ("prompt", "instruction"), ("query", "input"), ("response", "output"), ("history", "history"), ("system", "system"),
  ]

  init(_ entry: JSONValue) {
    let columns = entry["columns"]
    let formatting = entry["formatting"]?.string ?? "alpaca"
    if entry["file_name"]?.string == nil, entry["hf_hub_url"]?.string == nil {
      fault = "it is neither a file nor on the Hugging Face hub: name the data's files"
    } else if entry["ranking"]?.bool == true {
      fault = "it has preferences; sft trains on answers"
    } else if ["images", "videos", "audios", "kto_tag"].contains(where: { columns?[$0]?.string != nil }) {
      fault = "it is not text alone"
    } else if formatting == "alpaca" {
      shape.format = "alpaca"
      for (theirs, field) in Self.fields {
        if let column = columns?[theirs]?.string {
          if column != field { shape.columns[field] = column }
        } else if columns != nil || theirs == "system" || theirs == "history" {
          shape.unread.append(field)
        }
      }
    } else if formatting == "sharegpt" || formatting == "openai" {
      readConversations(columns, entry["tags"])
    } else {
      fault = "its formatting is not known to sft"
    }
  }

  private mutating func readConversations(_ columns: JSONValue?, _ tags: JSONValue?) {
    for tag in Self.tags where !tag.known.contains(tags?[tag.name]?.string ?? tag.usual) {
      fault = "its \(tag.name) is not among those that sft reads: \(tag.known.joined(separator: ", "))"
    }
    let list = columns?["messages"]?.string ?? "conversations"
    shape.format = list == "messages" ? "messages" : "sharegpt"
    if list != "messages", list != "conversations" { shape.columns["conversations"] = list }
    for field in ["tools", "system"] {
      if let column = columns?[field]?.string, column != field { shape.columns[field] = column }
    }
  }
}
