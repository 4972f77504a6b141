import Hub
import ArgumentParser
import Core
import Files
import Pipeline

/// The settings of another tool as two settings files of sft.
struct ForeignConversion {
  let mapping: ForeignMapping

  /// Throws `badData` where a value is not what its key takes, or is one that sft refuses.
  init(_ file: ForeignFile, _ tool: ForeignTool) throws {
    var mapping = ForeignMapping(file, tool)
    switch tool {
    case .trl: try mapping.readTRL()
    case .axolotl: try mapping.readAxolotl()
    case .llamafactory: try mapping.readLlamaFactory()
    }
    self.mapping = mapping
    try check(Prepare.self, .prepare)
    try check(Train.self, .train)
  }

  func settings(_ target: ForeignMapping.Target) -> [TypedSetting] {
    mapping.settings(target, isDefault: false) + mapping.settings(target, isDefault: true)
  }

  /// Throws where the parser does not take what the file is going to say.
  private func check<Verb: ParsableCommand>(_ verb: Verb.Type, _ target: ForeignMapping.Target) throws {
    let said = settings(target)
    var arguments = said.filter { $0.name != "files" }.map { setting in
      "--\(setting.name)" + (setting.value.map { "=\($0)" } ?? "")
    }
    if target == .prepare {
      let files = said.filter { $0.name == "files" }.compactMap(\.value)
      arguments += ["--"] + (files.isEmpty ? ["data"] : files)
    }
    do {
      _ = try verb.parse(arguments)
    } catch {
      var message = verb.message(for: error).split(whereSeparator: \.isNewline).joined(separator: " ")
      while message.last == "." { message.removeLast() }
      throw SFTError(.badData, "comes to what `sft \(target.rawValue)` refuses: \(message)", file: mapping.path)
    }
  }

  /// Text of a settings file; `path` is its own.
  private func text(_ target: ForeignMapping.Target, path: String) -> String {
    let title = mapping.tool.title
    let (source, own) = (printable(ForeignValue.line(mapping.path, 200)), printable(ForeignValue.line(path, 200)))
    let said = TypedSetting.yaml(mapping.settings(target, isDefault: false))
    let defaults = TypedSetting.yaml(mapping.settings(target, isDefault: true))
    return "# \(title)'s settings in \(source), for sft \(target.rawValue) \(OptionName.config) \(own)\n" + said
      + (defaults.isEmpty ? "" : "# Not said there, and what \(title) does then:\n" + defaults)
  }

  /// Writes both files, or none. Returns their paths.
  ///
  /// Throws `cannotCreate` where there is one already, unless it is to be replaced and is not the file that was read.
  func write(to folder: String, replacing: Bool) throws -> [String] {
    let targets: [ForeignMapping.Target] = [.prepare, .train]
    let prefix = folder == "." ? "" : folder.hasSuffix("/") ? folder : folder + "/"
    let paths = targets.map { "\(prefix)\($0.rawValue).yaml" }
    let wasThere = try paths.map { try fileExists($0) }
    for (path, isThere) in zip(paths, wasThere) where isThere {
      guard replacing else {
        throw SFTError(
          .cannotCreate, "is there already", file: path,
          advice: "Give another \(OptionName.to), or replace it with \(OptionName.overwrite)")
      }
      if canonicalPath(path) == canonicalPath(mapping.path) {
        throw SFTError(.cannotCreate, "is the file that is read", file: path, advice: "Give another \(OptionName.to)")
      }
    }
    try createDirectory(folder)
    let outputs = try zip(targets, paths).map { target, path in
      let output = try OutputFile(path)
      try output.write(text(target, path: path))
      return output
    }
    for (index, output) in outputs.enumerated() {
      do {
        try output.commit()
      } catch {
        for earlier in 0..<index where !wasThere[earlier] { try? removeTree(paths[earlier]) }
        throw error
      }
    }
    return paths
  }

  /// What to run next.
  func commands(_ files: [String]) -> [String] {
    let data = mapping.has("files") ? "" : "FILE "
    func missing(_ option: String, _ kind: HubName.Kind) -> [String] {
      let names = mapping.taken.filter { $0.setting.name == option }.compactMap(\.setting.value)
      let there = { (name: String) in (try? fileExists(name)) ?? false }
      return Set(
        names.filter { $0.contains("/") && !there($0) }.compactMap { name in
          HubName(kind, name.split(separator: ":").first.map(String.init) ?? name)?.text
        }
      ).sorted()
    }
    return missing(OptionName.model.rawValue, .model).map { "sft fetch \($0)" }
      + missing("files", .dataset).map { "sft fetch \($0) --dataset" }
      + zip(["prepare \(data)", "train "], files).map { "sft \($0)--config \(Self.word($1))" }
  }

  /// One word to a shell.
  private static func word(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy { byte in
      (48...57).contains(byte) || (65...90).contains(byte & 0xdf) || "-_./:=,@%+".utf8.contains(byte)
    }
    return isPlain ? text : "'" + text.replacing("'", with: "'\\''") + "'"
  }
}
