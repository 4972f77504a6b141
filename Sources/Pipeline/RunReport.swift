import Core
import Files
import FoundationEssentials
import JSON
import Reporting

/// A training run as a page: curves, sample answers, settings and data.
public struct RunReport {
  public let run: RecordedRun
  private let workspace: Workspace

  /// The run of that name, or the newest. Throws `notFound` where there is none.
  public init(_ name: String?, workspace: Workspace) throws {
    guard let run = try workspace.recordedRun(name) else {
      throw SFTError(.notFound, "there is no run in \(workspace.runsPath)", advice: "Train one with `sft train`")
    }
    (self.run, self.workspace) = (run, workspace)
  }

  private struct PageData: Encodable {
    var name: String
    var state: String
    var sections: [Section]
  }

  private struct Section: Encodable {
    var title: String
    /// Name and value.
    var rows: [[String]]
  }

  /// The page, for a run that has metrics and for one that has none yet.
  public func page() throws -> String {
    let configuration = run.configuration
    let isFinished = try fileExists(run.folder.finishedMark)
    let steps = grouped(configuration.settings.steps)
    let data = PageData(
      name: run.folder.name,
      state: "\(isFinished ? "finished" : "not finished"), \(steps) updates planned, on \(configuration.model)",
      sections: [try settings(), try self.data()].compactMap { $0 })
    // The same way as the other page: our own lines, put in as they are.
    let metrics = try fileExists(run.folder.metrics) ? try metricsArray(run.folder.metrics) : Array("[]".utf8)
    let encoded = Array(try jsonEncoder().encode(data)).dropLast() + Array(",\"metrics\":".utf8) + metrics
    return Page(.run, title: "Run \(run.folder.name)", data: Array(encoded) + [UInt8(ascii: "}")]).html
  }

  /// `config.json` as it is, whatever stands in it, but for the template's text and digests.
  private func settings() throws -> Section {
    var rows: [[String]] = []
    func add(_ value: JSONValue, _ name: String) {
      switch value {
      case .object(let object):
        for member in object.members where !["template", "digest", "tokenizer", "baseDigest"].contains(member.key) {
          add(member.value, name.isEmpty ? member.key : name + "." + member.key)
        }
      case .array(let elements) where !elements.isEmpty:
        rows.append([name, elements.map { $0.string ?? $0.serialized }.joined(separator: ", ")])
      default: rows.append([name, value.string ?? value.serialized])
      }
    }
    add(try parseJSONFile(run.folder.configuration), "")
    return Section(title: "Settings", rows: rows.map { [Self.words($0[0]), $0[1]] })
  }

  /// "settings.schedule.learningRate" → "schedule: learning rate".
  private static func words(_ key: String) -> String {
    let path = key.hasPrefix("settings.") ? key.dropFirst("settings.".count) : key[...]
    return path.reduce(into: "") { text, character in
      text += character == "." ? ": " : character.isUppercase ? " " + character.lowercased() : String(character)
    }
  }

  private func corpus(_ source: PretrainSource) throws -> Section? {
    let reference = run.configuration.prepared
    guard let summary = try workspace.store.existing(reference, CorpusStage.Summary.self)?.summary else { return nil }
    return Section(
      title: "Text",
      rows: [
        ["files", source.files.joined(separator: "\n")], ["bytes", grouped(summary.bytes)],
        ["tokens", grouped(summary.tokens)], ["documents", grouped(summary.documents)],
      ])
  }

  /// nil where the prepared data is gone.
  private func data() throws -> Section? {
    if let source = run.configuration.pretrained { return try corpus(source) }
    guard let summary = try workspace.store.existing(run.configuration.prepared, PreparedSummary.self)?.summary else {
      return nil
    }
    let lengths = summary.lengths
    return Section(
      title: "Data",
      rows: [
        ["files", (summary.files + summary.validationFiles).joined(separator: "\n")],
        [
          "records",
          "\(grouped(summary.counts.loaded)) read: \(grouped(summary.training)) for training, "
            + "\(grouped(summary.validation)) for validation",
        ],
        ["tokens", grouped(summary.tokens)],
        [
          "tokens of a record",
          "\(lengths.minimum) to \(lengths.maximum), median \(lengths.median), 90 % up to \(lengths.p90), 99 % up to "
            + "\(lengths.p99)",
        ],
        [
          "supervised tokens", "\(grouped(summary.supervisedTokens)) (\(fixed(100 * summary.supervisedShare, 1)) %)",
        ],
        ["template", summary.templateName],
        ["maximum length", grouped(summary.maxLength)],
      ])
  }
}
