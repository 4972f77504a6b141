import Core
/// Keys that are left out, and why.
struct LeftOutRow {
  /// One that ends in * stands for all that begin so.
  let keys: [String]
  let reason: String
  let effect: ForeignMapping.Effect
  /// Values, as they are shown, that say what sft does anyhow.
  let neutral: Set<String>

  /// Keys and values with spaces between. Whatever changes the result does not do so where it is off.
  init(_ keys: String, _ reason: String, _ effect: ForeignMapping.Effect = .none, neutral: String = "") {
    self.keys = keys.split(whereSeparator: \.isWhitespace).map(String.init)
    self.reason = reason
    self.effect = effect
    let off = effect == .none ? [] : ["false", "0", "none", "no", "[]", "0 members", "False", "None"]
    self.neutral = Set(off + neutral.split(separator: " ").map(String.init))
  }

  func matches(_ key: String) -> Bool {
    keys.contains { $0.hasSuffix("*") ? key.hasPrefix($0.dropLast()) : key == $0 }
  }
}

extension ForeignMapping {
  /// Leaves out what no option was found for: by the tables, the tool's own first, or as unknown.
  mutating func leaveRest(_ own: [LeftOutRow]) {
    let rows = own + LeftOutRow.common
    for given in members.rest {
      guard let row = rows.first(where: { $0.matches(given.key) }) else {
        leave(given, "not known to sft", .unknown)
        continue
      }
      if row.neutral.contains(given.value.shown) {
        leave(given, Self.usual)
      } else {
        leave(given, row.reason, row.effect)
      }
    }
  }
}

extension LeftOutRow {
  /// Keys of transformers' trainer, and what more than one tool has.
  static let common = [
    LeftOutRow(
      """
      bf16 fp16 tf32 fp8* bf16_full_eval fp16_full_eval half_precision_backend dtype torch_dtype bfloat16
      float16 float32 bnb_4bit_compute_dtype bnb_4bit_quant_storage pure_bf16 upcast_layernorm
      upcast_lmhead_output infer_dtype fp32_norm*
      """, "no GPU: mixed precision is not a choice, sft computes in float32"),
    LeftOutRow(
      """
      deepspeed* deepcompile fsdp* ddp* local_rank world_size device device_map max_memory gpu_memory_limit
      use_cpu no_cuda accelerator_config parallelism_config dp_* tensor_parallel_size context_parallel_size
      sequence_parallel_degree average_tokens_across_devices ray_* use_ray resources_per_worker master_addr
      master_port quantization_device_map
      """, "for several devices or machines"),
    LeftOutRow(
      """
      attn_implementation flash_attn* flash_attention xformers_attention sdp_attention flex_attention
      sage_attention eager_attention flash_optimum flex_attn_compile_kwargs use_liger_kernel liger_*
      enable_liger_kernel torch_compile* use_unsloth* unsloth_* use_kernels lora_mlp_kernel lora_qkv_kernel
      lora_o_kernel lora_embedding_kernel tiled_mlp* chunked_cross_entropy* torch_empty_cache_steps gc_steps
      gc_collect_steps low_cpu_mem_usage use_cache experts_implementation gradient_checkpointing_kwargs
      activation_checkpointing* use_reentrant_gc activation_offloading layer_offloading
      """, "how a GPU computes it"),
    LeftOutRow("jit_mode_eval torchdynamo use_ipex use_mps_device auto_find_batch_size", "how a GPU computes it"),
    LeftOutRow(
      """
      dataloader_* dataset_num_proc dataset_processes preprocessing_num_workers preprocessing_batch_size
      overwrite_cache dataset_prepared_path dataset_keep_in_memory skip_prepare_dataset
      num_dataset_shards_to_save tokenized_path cache_dir remove_unused_columns streaming dataset_streaming
      buffer_size data_shared_file_system label_names ignore_data_skip dataset_kwargs preprocess_shards
      length_column_name
      """, "how data are read; sft keeps what it has prepared"),
    LeftOutRow(
      """
      logging_* log_* wandb_* use_wandb mlflow_* use_mlflow hf_mlflow_* comet_* use_comet trackio_* use_trackio
      swanlab_* use_swanlab otel_* use_otel_metrics run_name project disable_tqdm plot_loss include_* report_to
      profiler_* compute_accuracy skip_memory_metrics debug print_param_status
      """, "sft writes metrics.jsonl, a line for each update"),
    LeftOutRow("push_to_hub* hub_* hf_hub_token hf_use_auth_token", "sft sends nothing to the hub"),
    LeftOutRow(
      "output_dir overwrite_output_dir save_safetensors save_only_model save_on_each_node save_first_step",
      "a run is a folder of the workspace: \(OptionName.run) NAME"),
    LeftOutRow("do_train", "what sft train is for"),
    LeftOutRow("resume_from_checkpoint auto_resume_from_checkpoints", "for sft train \(OptionName.resume)"),
    LeftOutRow(
      """
      per_device_eval_batch_size eval_batch_size eval_accumulation_steps eval_delay eval_on_start do_eval
      do_predict prediction_loss_only batch_eval_metrics eval_do_concat_batches load_best_model_at_end
      metric_for_best_model greater_is_better predict_with_generate generation_* eval_num_beams
      eval_on_each_dataset
      """, "sft validates on all validation records, and keeps the best weights"),
    LeftOutRow(
      "eval_packing eval_sample_packing padding_free pad_to_* group_by_length packing_strategy sample_packing_*",
      "sft packs by itself, without changing the loss"),
    LeftOutRow(
      "train_sampling_strategy", "sft shuffles, or takes the order of the data: \(OptionName.noShuffle)", .differs,
      neutral: "random"),
    LeftOutRow("trust_remote_code tokenizer_use_fast use_fast_tokenizer", "sft runs no code of a model"),
    LeftOutRow(
      "model_revision revision_of_model", "\(OptionName.model) takes what is in the cache", .differs, neutral: "main"),
    LeftOutRow("data_seed full_determinism", "sft's runs are the same bits for one \(OptionName.seed)"),
    LeftOutRow(
      """
      use_dora peft_use_dora loftq_config neftune_noise_alpha noisy_embedding_alpha label_smoothing_factor
      optim_args optim_target_modules loraplus_* rope_scaling lora_target_parameters model_init_kwargs
      router_aux_loss_coef resize_vocab
      """, "not supported", .differs),
    LeftOutRow("load_in_8bit", "8-bit bases are not supported; the base stays as it is", .differs),
    LeftOutRow("load_in_4bit", "only the base of an adapter is quantised", .differs),
    LeftOutRow("bnb_4bit_* use_bnb_nested_quant", "no base in 4 bits is asked for"),
  ]
}
