import ArgumentParser

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look into data, a model, an adapter, or what a model computes.",
    usage: "sft inspect <data|records|model|adapter|activations> [options]",
    subcommands: [
      InspectData.self, InspectRecords.self, InspectModel.self, InspectAdapter.self, InspectActivations.self,
    ])
}
