import ArgumentParser
import Core

/// A tool whose settings can be taken over.
enum ForeignTool: String, CaseIterable, Encodable, ExpressibleByArgument {
  case trl
  case axolotl
  case llamafactory

  /// As its makers write it.
  var title: String {
    switch self {
    case .trl: "TRL"
    case .axolotl: "axolotl"
    case .llamafactory: "LLaMA-Factory"
    }
  }

  /// Keys that none of the others has.
  private var ownKeys: [String] {
    switch self {
    case .trl:
      [
        "dataset_name", "dataset_train_split", "dataset_test_split", "dataset_text_field", "use_peft", "max_seq_length",
        "assistant_only_loss", "completion_only_loss", "use_bnb_nested_quant", "lora_task_type",
      ]
    case .axolotl:
      [
        "base_model", "micro_batch_size", "sequence_len", "num_epochs", "val_set_size", "sample_packing",
        "lora_target_linear", "train_on_inputs", "dataset_prepared_path",
      ]
    case .llamafactory:
      [
        "stage", "finetuning_type", "cutoff_len", "template", "dataset", "dataset_dir", "lora_rank", "lora_target",
        "quantization_bit", "train_on_prompt", "mask_history", "adapter_name_or_path",
      ]
    }
  }

  /// Throws `badData` where the keys are those of no tool, or of several.
  init(of file: ForeignFile) throws {
    let found = Self.allCases.compactMap { tool -> (tool: ForeignTool, key: String)? in
      tool.ownKeys.first { file.members.has($0) }.map { (tool, $0) }
    }
    let choices = Self.allCases.map(\.rawValue).joined(separator: ", ")
    if found.count > 1 {
      let keys = found.map { "\"\($0.key)\" is \($0.tool.title)'s" }.joined(separator: ", ")
      throw SFTError(
        .badData, "has keys of several tools: \(keys)", file: file.path,
        advice: "Name the tool with --tool: \(choices)")
    }
    if let only = found.first {
      self = only.tool
    } else if file.members.has("model_name_or_path"), file.members.has("datasets") || file.members.has("max_length") {
      self = .trl
    } else {
      throw SFTError(
        .badData, "has none of the keys by which a tool's settings are known", file: file.path,
        advice: "Name the tool with --tool: \(choices)")
    }
  }
}
