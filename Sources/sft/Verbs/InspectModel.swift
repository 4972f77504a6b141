import ArgumentParser
import Core
import Files
import Models
import Pipeline
import Weights

struct InspectModel: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "inspect model", abstract: "Configuration, tensors, parameters and bytes of a model.",
    usage: "<DIR|NAME> [options]", examples: ["sft inspect model embedded", "sft inspect model path/to/gpt2 --json"])

  @Argument(help: .takes("DIR|NAME", "\(modelWords)."))
  var path: String

  @OptionGroup(title: "General") var common: CommonOptions

  struct Tensor: Encodable {
    var name: String
    var dtype: String
    var shape: [Int]
  }

  struct Report: Encodable {
    var path: String
    var architecture: String
    var vocabularySize: Int
    var contextLength: Int
    var width: Int
    var layers: Int
    var heads: Int
    var mlpWidth: Int
    var tiedHead: Bool
    var parameters: Int
    var bytes: Int
    var digest: String
    var tensors: [Tensor]
    var ignored: [String]
  }

  func run() throws {
    let progress = Progress(quiet: common.quiet)
    let workspace = Workspace(common.workspace, progress: progress.show) { progress.note($0) }
    let location = try workspace.model(path)
    let checkpoint = try ModelCheckpoint(folder: location.folder)
    let configuration = checkpoint.configuration
    let infos = try configuration.expectedTensors.map { ($0.name, try checkpoint.info($0.name)) }
    let report = Report(
      path: checkpoint.folder, architecture: configuration.architecture.rawValue,
      vocabularySize: configuration.vocabularySize, contextLength: configuration.contextLength,
      width: configuration.width, layers: configuration.layers, heads: configuration.heads,
      mlpWidth: configuration.mlpWidth, tiedHead: configuration.tiedHead, parameters: configuration.parameterCount,
      bytes: infos.reduce(0) { $0 + $1.1.byteCount },
      digest: try modelDigest(checkpoint, in: workspace).hex,
      tensors: infos.map { Tensor(name: $0.0, dtype: $0.1.typeName, shape: $0.1.shape) },
      ignored: checkpoint.ignored)
    if common.json {
      try Terminal.printJSON(report)
      return
    }
    Terminal.show("model       \(location.isEmbedded ? "\(path), laid out in " : "")\(report.path)")
    print(
      "decoder     \(report.architecture): \(report.layers) layers, width \(report.width), \(report.heads) heads, MLP "
        + "\(report.mlpWidth), vocabulary \(grouped(report.vocabularySize)), context \(grouped(report.contextLength))"
        + (report.tiedHead ? ", tied head" : ""))
    print("parameters  \(grouped(report.parameters)) in \(byteCount(report.bytes))")
    print("digest      \(report.digest)")
    for tensor in report.tensors { Terminal.show("  \(tensor.name)  \(tensor.dtype) \(tensor.shape)") }
    if !report.ignored.isEmpty { Terminal.show("ignored     \(report.ignored.joined(separator: ", "))") }
  }
}

struct InspectAdapter: ParsableCommand {
  static let configuration = CommandConfiguration(
    verb: "inspect adapter", abstract: "Configuration, tensors and base of a PEFT adapter folder.",
    usage: "<DIR> [options]",
    examples: ["sft inspect adapter .sft/runs/run-1/best", "sft inspect adapter out --json"])

  @Argument(help: .takes("DIR", "Adapter folder."))
  var path: String

  @OptionGroup(title: "General") var common: CommonOptions

  struct Report: Encodable {
    var path: String
    var lora: LoRAConfiguration
    var baseModel: String?
    var baseDigest: String?
    var parameters: Int
    var bytes: Int
    var tensors: [InspectModel.Tensor]
  }

  func run() throws {
    let description = try AdapterFolder.describe(path)
    let report = Report(
      path: path, lora: description.configuration, baseModel: description.baseModel,
      baseDigest: description.baseDigest?.hex, parameters: description.tensors.reduce(0) { $0 + $1.info.count },
      bytes: description.tensors.reduce(0) { $0 + $1.info.range.count },
      tensors: description.tensors.map {
        InspectModel.Tensor(name: $0.name, dtype: $0.info.dtype.rawValue, shape: $0.info.shape)
      })
    if common.json {
      try Terminal.printJSON(report)
      return
    }
    let lora = report.lora
    Terminal.show("adapter     \(path)")
    Terminal.show(
      "LoRA        r \(lora.rank), alpha \(lora.alpha), scale \(lora.scale), dropout \(lora.dropout), on "
        + lora.targets.joined(separator: ", ") + (lora.layers.map { ", layers \($0)" } ?? "") + lora.moreWords)
    Terminal.show("base        \(report.baseModel ?? "not named"), digest \(report.baseDigest ?? "not recorded")")
    print("parameters  \(grouped(report.parameters)) in \(byteCount(report.bytes))")
    for tensor in report.tensors { Terminal.show("  \(tensor.name)  \(tensor.dtype) \(tensor.shape)") }
  }
}
