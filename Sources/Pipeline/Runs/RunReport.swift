import Core
import Files
import FoundationEssentials
import JSON
import Reporting

/// A training run as a page: where it comes from, curves, sample answers, settings and data.
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
    /// What is trained on what.
    var summary: String
    /// Updates in all.
    var planned: Int
    var origin: Origin?
    var settings: [[String]]
    /// What is shown on demand.
    var details: [Section]
  }

  private struct Section: Encodable {
    var title: String
    /// Name and value.
    var rows: [[String]]
  }

  /// The page, for a run that has metrics and for one that has none yet.
  public func page() throws -> String {
    let configuration = run.configuration
    let settings = ReportedSettings(configuration)
    let (text, section) = try data() ?? ("no longer in the workspace", nil)
    let all = Section(title: "All settings", rows: ReportedSettings.all(try parseJSONFile(run.folder.configuration)))
    let model = configuration.pretrained == nil ? ["model \(configuration.model)"] : []
    let data = PageData(
      name: run.folder.name, state: try fileExists(run.folder.finishedMark) ? "finished" : "not finished",
      summary: ([settings.method] + model + [text]).joined(separator: "  ·  "),
      planned: configuration.settings.steps, origin: .read(run.folder), settings: settings.main(data: text),
      details: [all] + [section].compactMap { $0 })
    // The same way as the other page: our own lines, put in as they are.
    let metrics = try fileExists(run.folder.metrics) ? try metricsArray(run.folder.metrics) : Array("[]".utf8)
    let encoded = Array(try jsonEncoder().encode(data)).dropLast() + Array(",\"metrics\":".utf8) + metrics
    return Page(.run, title: "Run \(run.folder.name)", data: Array(encoded) + [UInt8(ascii: "}")]).html
  }

  private func corpus(_ source: PretrainSource) throws -> (String, Section)? {
    let reference = run.configuration.prepared
    guard let summary = try workspace.store.existing(reference, CorpusStage.Summary.self)?.summary else { return nil }
    let section = Section(
      title: "Text",
      rows: [
        ["files", source.files.joined(separator: "\n")], ["bytes", grouped(summary.bytes)],
        ["tokens", grouped(summary.tokens)], ["documents", grouped(summary.documents)],
      ])
    return ("\(source.files.joined(separator: ", ")) (\(grouped(summary.tokens)) tokens)", section)
  }

  /// In a line, and in full; nil where the prepared data is gone.
  private func data() throws -> (String, Section?)? {
    if let source = run.configuration.pretrained { return try corpus(source) }
    guard let summary = try workspace.store.existing(run.configuration.prepared, PreparedSummary.self)?.summary else {
      return nil
    }
    let lengths = summary.lengths
    let section = Section(
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
    let files = (summary.files + summary.validationFiles).joined(separator: ", ")
    let validation = summary.validation > 0 ? ", \(grouped(summary.validation)) for validation" : ""
    return ("\(files) (\(grouped(summary.training)) records\(validation))", section)
  }
}
