import Core
import Pipeline

/// What a conversion tells: to people in lines, to programs as a value.
struct ForeignView {
  private let conversion: ForeignConversion
  private let files: [String]
  private var mapping: ForeignMapping { conversion.mapping }

  init(_ conversion: ForeignConversion, files: [String]) {
    (self.conversion, self.files) = (conversion, files)
  }

  struct Report: Encodable {
    var tool: String
    var prepare: [String: ForeignValue]
    var train: [String: ForeignValue]
    /// Keys of the tool that are not there, and whose default was stated.
    var defaults: [String]
    var leftOut: [ForeignMapping.LeftOut]
    var notes: [String]
    var files: [String]
    var commands: [String]
  }

  var report: Report {
    Report(
      tool: mapping.tool.rawValue, prepare: values(.prepare), train: values(.train),
      defaults: mapping.taken.filter(\.isDefault).map(\.key), leftOut: mapping.leftOut, notes: mapping.notes,
      files: files, commands: conversion.commands(files))
  }

  private func values(_ target: ForeignMapping.Target) -> [String: ForeignValue] {
    var values: [String: ForeignValue] = [:]
    for setting in conversion.settings(target) {
      let value = setting.value.map { ForeignValue(plain: $0) } ?? .flag(true)
      if setting.name != "files" {
        values[setting.name] = value
      } else if case .list(let earlier)? = values["files"] {
        values["files"] = .list(earlier + [.text(setting.value ?? "")])
      } else {
        values["files"] = .list([.text(setting.value ?? "")])
      }
    }
    return values
  }

  var lines: [String] {
    let title = mapping.tool.title
    var lines = section("taken from \(title)'s settings in \(mapping.path)", taken(isDefault: false))
    lines += section("not said there: \(title)'s own defaults, which are not sft's", taken(isDefault: true))
    lines += section("left out, and the result will differ", leftOut(.differs))
    lines += section("left out, and the result may differ", leftOut(.unknown))
    lines += section("left out, which changes nothing", leftOutByReason)
    lines += section("to know", mapping.notes)
    lines += section("written", files)
    lines += section("next", conversion.commands(files))
    // The first line is empty.
    return Array(lines.dropFirst())
  }

  private func section(_ heading: String, _ lines: [String]) -> [String] {
    lines.isEmpty ? [] : ["", heading] + lines.map { "  " + trimmedRight($0) }
  }

  private func taken(isDefault: Bool) -> [String] {
    let rows = mapping.taken.filter { $0.isDefault == isDefault }.map { taken in
      let value = ForeignValue.line(taken.setting.value ?? "true", 120)
      return [taken.key, "→", taken.target.rawValue, "\(taken.setting.name): \(value)"]
    }
    return tableLines(rows, words: 4)
  }

  private func leftOut(_ effect: ForeignMapping.Effect) -> [String] {
    let rows = mapping.leftOut.filter { $0.effect == effect }.map { left in
      [left.value.map { "\(shortened(left.key)): \($0.shown)" } ?? "\(left.key), not said", left.reason]
    }
    return tableLines(rows, words: 2)
  }

  /// Lines on keys that were left out without changing the result, together where they have one reason.
  private var leftOutByReason: [String] {
    let left = mapping.leftOut.filter { $0.effect == .none }
    var (reasons, keys) = ([String](), [String: [String]]())
    for one in left {
      if keys[one.reason] == nil { reasons.append(one.reason) }
      keys[one.reason, default: []].append(shortened(one.key))
    }
    return reasons.map { "\($0): \((keys[$0] ?? []).joined(separator: ", "))" }
  }

  private func shortened(_ key: String) -> String { ForeignValue.line(key, 60) }
}
