import Core

extension ForeignMapping {
  /// Modules that get an adapter: names, or all linears in any of the ways to say so.
  mutating func takeTargets(_ given: ForeignSetting) throws {
    let names = try given.texts()
    if names.count == 1, ["all-linear", "all_linear", "all"].contains(names[0].lowercased()) {
      take(given, .train, "lora-targets", "all-linear")
    } else if names.contains(where: { $0.contains { "*^$()|[]\\+?".contains($0) } }) {
      leave(given, "a regular expression; \(OptionName.loraTargets) takes names", .differs)
    } else {
      take(given, .train, "lora-targets", names.joined(separator: ","))
    }
  }

  mutating func takeSavedModules(_ key: String) throws {
    guard let given = find(key) else { return }
    if given.isList, try given.elements().isEmpty {
      leave(given, Self.usual)
    } else {
      take(given, .train, "modules-to-save", try given.texts().joined(separator: ","))
    }
  }

  mutating func takeLayers(_ key: String) throws {
    guard let given = find(key) else { return }
    let elements = given.isList ? try given.elements() : [given]
    if elements.isEmpty {
      leave(given, Self.usual)
    } else {
      let layers = try elements.map { String(try $0.whole(0...99_999)) }
      take(given, .train, "lora-layers", layers.joined(separator: ","))
    }
  }

  /// An adapter to go on with, and what it brings itself.
  mutating func takeInitialAdapter(_ given: ForeignSetting, instead keys: [String]) throws {
    take(given, .train, "init-adapter", try given.text())
    leaveAll(keys, "the adapter that training starts from brings its own")
  }

  /// A base in 4 bits, with its code, and whether quantisation is doubled.
  mutating func takeFourBits(_ given: ForeignSetting, code: ForeignSetting?, nested: ForeignSetting?) throws {
    take(given, .train, "qlora", nil)
    if let code {
      let name = try code.text().lowercased()
      guard ["nf4", "fp4"].contains(name) else { throw code.failure("must be nf4 or fp4") }
      take(code, .train, "quant", name)
    }
    if let nested {
      if try nested.flag() {
        leave(nested, Self.usual)
      } else {
        take(nested, .train, "no-double-quant", nil)
      }
    }
  }

  /// What trains all weights differently.
  mutating func noteDecay() {
    let decay = taken.last { $0.setting.name == "weight-decay" }?.setting.value
    if has("full"), let decay, decay != "0" {
      note("\(tool.title) lets biases and norms out of weight decay; sft decays all that is trained.")
    }
  }
}
