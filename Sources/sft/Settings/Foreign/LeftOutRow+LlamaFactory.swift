extension LeftOutRow {
  /// LLaMA-Factory's own keys.
  static let llamaFactory = [
    LeftOutRow(
      """
      do_sample temperature top_p top_k num_beams max_length max_new_tokens repetition_penalty length_penalty
      skip_special_tokens infer_* vllm_* sglang_* use_kv_cache offload_folder export_*
      """, "for generation and export: sft generate, sft export"),
    LeftOutRow("gradient_checkpointing", "LLaMA-Factory has disable_gradient_checkpointing"),
    LeftOutRow("quantization_method quantization_type double_quantization", "no base in 4 bits is asked for"),
    LeftOutRow("image_* video_* audio_* media_dir crop_to_patches use_audio_in_video freeze_*", "sft trains on text"),
    LeftOutRow("ms_hub_token om_hub_token", "sft fetches nothing from hubs"),
    LeftOutRow("create_new_adapter", "for adapters that are there already"),
    LeftOutRow("ignore_pad_token_for_loss", "sft pads nothing"),
    LeftOutRow("max_samples", "sft takes all records: shorten the files", .differs),
    LeftOutRow("mix_strategy", "sft takes the data one after the other", .differs, neutral: "concat"),
    LeftOutRow("interleave_probs", "sft takes the data one after the other", .differs),
    LeftOutRow(
      """
      use_galore galore_* use_apollo apollo_* use_badam badam_* use_muon use_adam_mini pissa_* use_llama_pro
      shift_attn mixture_of_depths train_from_scratch add_tokens add_special_tokens new_special_tokens_config
      init_special_tokens split_special_tokens oft_* module_dropout use_dft_loss use_asft_loss asft_alpha
      use_eaft_loss eaft_alpha moe_aux_loss_coef adapter_folder use_mca use_megatron_bridge use_hyper_parallel
      hyper_parallel_*
      """, "not supported", .differs),
    LeftOutRow(
      "default_system enable_thinking preserve_thinking tool_format", "sft leaves that to the chat template", .differs),
    LeftOutRow("pref_* dpo_* kto_* simpo_gamma ppo_* ref_model* reward_model* ld_alpha", "for another stage"),
    LeftOutRow("use_v1_kernels enable_torch_profiler profile_modules", "how a GPU computes it"),
  ]
}
