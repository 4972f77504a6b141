import Core
extension LeftOutRow {
  /// axolotl's own keys.
  static let axolotl = [
    LeftOutRow(
      """
      model_type tokenizer_type type_of_model processor_* tokenizer_legacy is_falcon_derived_model
      is_llama_derived_model is_mistral_derived_model is_qwen_derived_model lora_fan_in_fan_out
      """, "sft knows by the model's own files"),
    LeftOutRow(
      """
      base_model_config cls_model_config tokenizer_config model_config overrides_of_model_config model_kwargs
      overrides_of_model_kwargs
      """, "sft takes configuration and tokenizer from the model's folder", .differs),
    LeftOutRow(
      """
      lora_on_cpu qlora_sharded_model_loading merge_lora merge_method peft_autocast_adapter_dtype strict
      axolotl_config_path
      """, "sft decides by itself"),
    LeftOutRow(
      "gptq* bnb_config_kwargs model_quantization_config* qat quantization quantize_moe_experts use_onebitllms",
      "sft quantises to 4 bits, as \(OptionName.qlora) says", .differs),
    LeftOutRow(
      """
      relora* lisa_* unfrozen_parameters lr_groups embedding_lr embedding_lr_scale lr_quadratic_warmup
      lr_div_factor peft peft_* lora_rank_pattern lora_alpha_pattern lora_exclude_modules jagged_*
      shrink_embeddings resize_token_embeddings_to_32x mean_resizing_embeddings embeddings_skip_upcast
      reinit_weights added_tokens_overrides fix_untrained_tokens plugins trainer_cls use_pose pose_*
      scaling_softmax* use_eaft eaft_* dynamic_checkpoint reward_model process_reward_model curriculum_sampling
      dataset_shard_* pretraining_dataset min_sample_len adam_beta3 adam_epsilon2 loss_watchdog_*
      pretraining_sample_concatenation eval_sequence_len
      """, "not supported", .differs),
    LeftOutRow("lora_model_dir", "there is no adapter of LoRA", .differs),
    LeftOutRow(
      "shuffle_merged_datasets", "sft shuffles, or takes the order of the data: \(OptionName.noShuffle)", .differs,
      neutral: "true"),
    LeftOutRow("shuffle_before_merging_datasets", "sft shuffles anyhow"),
    LeftOutRow("tokens", "sft adds no tokens to a model", .differs),
    LeftOutRow(
      "eot_tokens default_system_message chat_template_kwargs", "sft leaves that to the chat template", .differs),
    LeftOutRow("chat_template chat_template_jinja", "no data of the type chat_template are taken"),
    LeftOutRow(
      "do_causal_lm_eval eval_causal_lm_metrics do_bench_eval bench_* eval_table_size eval_max_new_tokens",
      "sft validates by the loss; for more there is sft compare"),
    LeftOutRow("generate_samples num_generation_samples gradio_* vllm trl", "for generation: sft generate"),
    LeftOutRow("dion_* qgalore_* torchdistx_path", "for optimisers that sft does not have"),
    LeftOutRow("push_dataset_to_hub", "sft sends nothing to the hub"),
    LeftOutRow(
      "multipack_real_batches batch_flattening* pretrain_multipack_* sdpa_varlen large_head_attention",
      "how a GPU computes it"),
  ]
}
