import Core

extension ForeignMapping {
  /// Data and validation records. Returns whether there are any of the latter.
  mutating func takeAxolotlData() throws -> Bool {
    let inputs = find("train_on_inputs")
    let trainsInputs = try inputs?.flag() ?? false
    for dataset in try find("datasets")?.elements() ?? [] {
      try takeAxolotlDataset(dataset, trainsInputs: trainsInputs, option: "files")
    }
    let validates = try takeAxolotlValidation()
    takeShape("datasets")
    if let inputs {
      if !trainsInputs {
        leave(inputs, Self.usual)
      } else if shape?.trainOn == "all" {
        leave(inputs, "what train-on: all says")
      } else {
        leave(
          inputs, "axolotl trains every message, not the template's text: \(OptionName.trainOn) all has both", .differs)
      }
    }
    noteMissingData()
    return validates
  }

  private mutating func takeAxolotlValidation() throws -> Bool {
    let (share, held) = (find("val_set_size"), find("test_datasets"))
    if let held {
      if let share { leave(share, "test_datasets takes its place") }
      let datasets = try held.elements()
      if datasets.count == 1 {
        let trainsInputs = shape?.trainOn == "all"
        try takeAxolotlDataset(datasets[0], trainsInputs: trainsInputs, option: "val-file")
      } else {
        leave(held, "sft takes one: \(OptionName.valFile)", .differs)
      }
      return true
    }
    if let share { return try takeValidationShare(share) }
    state("val_set_size", .prepare, "val", "0")
    return false
  }

  private mutating func takeAxolotlDataset(
    _ element: ForeignSetting, trainsInputs: Bool, option: String
  ) throws {
    var dataset = try element.members()
    let (path, files, part) = (dataset.find("path"), dataset.find("data_files"), dataset.find("split"))
    guard let new = try axolotlShape(&dataset, trainsInputs: trainsInputs) else { return }
    guard admits(new) else {
      leave(element, "laid out unlike the data before it: prepare it apart", .differs)
      return
    }
    try takeDataset(element, path: path, files: files, part: part, option: option)
    for known in ["ds_type", "trust_remote_code", "preprocess_shards"] {
      if let given = dataset.find(known) { leave(given, "sft tells by the files") }
    }
    for given in dataset.rest { leave(given, "not supported", .differs) }
  }

  /// nil where sft has no such layout, which is then told.
  private mutating func axolotlShape(_ dataset: inout ForeignMembers, trainsInputs: Bool) throws -> DataShape? {
    guard let type = dataset.find("type") else { return DataShape() }
    if type.isObject {
      leave(type, "a prompt of its own: write it to a file for \(OptionName.template), and name the data", .differs)
      return nil
    }
    let name = try type.text()
    switch name {
    case "alpaca", "alpaca:instruct", "alpaca_instruct.load":
      return DataShape(template: "alpaca", format: "alpaca", trainOn: trainsInputs ? "all" : nil)
    case "completion":
      let field = try dataset.find("field")?.text() ?? "text"
      note("axolotl divides texts that are longer than sequence_len; sft drops them with overlong: drop.")
      return DataShape(template: "none", format: "text", columns: field == "text" ? [:] : ["text": field])
    case "chat_template", "sharegpt":
      return try chatShape(&dataset, isShareGPT: name == "sharegpt")
    default:
      leave(
        type, "a prompt that sft does not ship: write it to a file for \(OptionName.template), and name the data",
        .differs)
      return nil
    }
  }

  private mutating func chatShape(_ dataset: inout ForeignMembers, isShareGPT: Bool) throws -> DataShape {
    var new = DataShape(template: try chatTemplate(&dataset))
    let field = try dataset.find("field_messages")?.text() ?? (isShareGPT ? "conversations" : "messages")
    if field == "conversations" || field == "conversation" {
      new.format = "sharegpt"
    } else {
      new.format = "messages"
      if field != "messages" { new.columns["messages"] = field }
    }
    // Both pairs of names are read from whatever list.
    let names = ["role", "from", "content", "value"]
    if let mappings = dataset.find("message_property_mappings") {
      for mapping in try mappings.members().settings where try !names.contains(mapping.text()) {
        leave(mapping, "a message has role and content, or from and value", .differs)
      }
    }
    for key in ["message_field_role", "message_field_content"] {
      if let given = dataset.find(key), try !names.contains(given.text()) {
        leave(given, "a message has role and content, or from and value", .differs)
      }
    }
    if let roles = dataset.find("roles_to_train") {
      let isUsual = try roles.isList && roles.texts().allSatisfy { ["assistant", "gpt"].contains($0) }
      leave(roles, isUsual ? Self.usual : "sft trains the assistant's turns", isUsual ? .none : .differs)
    }
    for key in ["train_on_eos", "train_on_eot"] {
      if let given = dataset.find(key) {
        let isUsual = try given.text() == "turn"
        leave(given, isUsual ? Self.usual : "sft trains the end of each turn", isUsual ? .none : .differs)
      }
    }
    return new
  }

  /// The template that the dataset names, else that of the whole file; `model` for the model's own.
  private mutating func chatTemplate(_ dataset: inout ForeignMembers) throws -> String {
    let own = (dataset.find("chat_template"), dataset.find("chat_template_jinja"))
    let all = (find("chat_template"), find("chat_template_jinja"))
    let (name, jinja) = own.0 == nil && own.1 == nil ? all : own
    if let jinja {
      let path = try jinja.text()
      if path.hasSuffix(".jinja"), !path.contains("\n") { return path }
      leave(jinja, "\(OptionName.template) takes a file whose name ends in .jinja; the model's own stands", .differs)
      return "model"
    }
    let template = try name?.text() ?? "tokenizer_default"
    if template == "chatml" || template == "llama3" { return template }
    if template.hasPrefix("tokenizer_default_fallback_") {
      note("\(template): the model's own chat template is taken; where it has none, `sft prepare` says so.")
    } else if let name, template != "tokenizer_default" {
      leave(name, "axolotl's own template; the model's stands, or \(OptionName.template) FILE.jinja", .differs)
    }
    return "model"
  }
}
