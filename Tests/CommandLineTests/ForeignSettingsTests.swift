import Files
import JSON
import TestSupport
import Testing

/// Settings of TRL, axolotl and LLaMA-Factory as sft's own: `sft config from`.
@Suite struct ForeignSettingsTests {
  /// What axolotl has for Llama 3 and QLoRA.
  private static let axolotl = """
    base_model: NousResearch/Meta-Llama-3-8B
    # optionally might have model_type or tokenizer_type
    model_type: AutoModelForCausalLM
    tokenizer_type: AutoTokenizer

    load_in_8bit: false
    load_in_4bit: true

    datasets:
      - path: aaditya/alpaca_subset_1
        type: alpaca
    dataset_prepared_path:
    val_set_size: 0
    output_dir: ./outputs/qlora-out

    adapter: qlora
    lora_model_dir:

    sequence_len: 4096
    sample_packing: true

    lora_r: 32
    lora_alpha: 16
    lora_dropout: 0.05
    lora_target_linear: true

    wandb_project:
    wandb_entity:

    gradient_accumulation_steps: 4
    micro_batch_size: 2
    num_epochs: 4
    optimizer: paged_adamw_32bit
    lr_scheduler: cosine
    learning_rate: 0.0002

    bf16: auto
    tf32: false

    gradient_checkpointing: true
    logging_steps: 1
    attn_implementation: flash_attention_2

    warmup_ratio: 0.1
    evals_per_epoch: 4
    saves_per_epoch: 1
    weight_decay: 0.0
    special_tokens:
      pad_token: "<|end_of_text|>"

    """

  /// What LLaMA-Factory has for Llama 3 and LoRA.
  private static let factory = """
    ### model
    model_name_or_path: meta-llama/Meta-Llama-3-8B-Instruct
    trust_remote_code: true

    ### method
    stage: sft
    do_train: true
    finetuning_type: lora
    lora_rank: 8
    lora_target: all

    ### dataset
    dataset: identity,alpaca_en_demo
    template: llama3
    cutoff_len: 2048
    max_samples: 1000
    overwrite_cache: true
    preprocessing_num_workers: 16
    dataloader_num_workers: 4

    ### output
    output_dir: saves/llama3-8b/lora/sft
    logging_steps: 10
    save_steps: 500
    plot_loss: true
    overwrite_output_dir: true
    save_only_model: false
    report_to: none  # choices: [none, wandb, tensorboard, swanlab, mlflow]

    ### train
    per_device_train_batch_size: 1
    gradient_accumulation_steps: 8
    learning_rate: 1.0e-4
    num_train_epochs: 3.0
    lr_scheduler_type: cosine
    warmup_ratio: 0.1
    bf16: true
    ddp_timeout: 180000000
    resume_from_checkpoint: null

    """

  private static let trl = """
    model_name_or_path: Qwen/Qwen2.5-0.5B
    dataset_name: trl-lib/Capybara
    learning_rate: 2.0e-4
    num_train_epochs: 1
    packing: true
    per_device_train_batch_size: 2
    gradient_accumulation_steps: 8
    gradient_checkpointing: true
    eos_token: '<|im_end|>'
    eval_strategy: steps
    eval_steps: 100
    use_peft: true
    lora_r: 32
    lora_alpha: 16
    output_dir: Qwen2.5-0.5B-SFT
    push_to_hub: true

    """

  /// Without comments.
  private func said(_ sft: SFTBinary, _ name: String) throws -> [String] {
    try sft.read(name).split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#") }
  }

  /// Both files, as `--config` takes them.
  private func expectAccepted(_ sft: SFTBinary, in folder: String = "") throws {
    for verb in ["prepare", "train"] {
      let name = "\(folder)\(verb).yaml"
      let shown = try sft.run(verb, "--config", name, "--print-config")
      #expect(shown.code == 0, "\(shown.errors)")
      let lines = shown.output.split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
      #expect(Set(lines) == Set(try said(sft, name)))
    }
  }

  /// What stands below a heading, up to the next.
  private func section(_ heading: String, of output: String) -> [Substring] {
    let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
    return Array(lines.drop { !$0.hasPrefix(heading) }.dropFirst().prefix { !$0.isEmpty })
  }

  @Test func axolotlsExampleIsTaken() throws {
    try withSFT { sft in
      try sft.write(Self.axolotl, to: "qlora.yml")
      let output = try sft.succeed("config", "from", "qlora.yml").output
      #expect(
        try sft.read("prepare.yaml") == """
          # axolotl's settings in qlora.yml, for sft prepare --config prepare.yaml
          model: NousResearch/Meta-Llama-3-8B
          files: aaditya/alpaca_subset_1
          val: 0
          template: alpaca
          data-format: alpaca
          max-length: 4096
          # Not said there, and what axolotl does then:
          overlong: drop

          """)
      #expect(
        try sft.read("train.yaml") == """
          # axolotl's settings in qlora.yml, for sft train --config train.yaml
          qlora: true
          lora-r: 32
          lora-alpha: 16
          lora-dropout: 0.05
          lora-targets: all-linear
          lr: 0.0002
          epochs: 4
          scheduler: cosine
          batch-size: 2
          weight-decay: 0
          grad-accum: 4
          optimizer: adamw
          gradient-checkpointing: true

          """)
      try expectAccepted(sft)
      let differing = section("left out, and the result will differ", of: output)
      #expect(differing.contains { $0.hasPrefix("  warmup_ratio: 0.1") && $0.contains("--warmup-steps") })
      #expect(differing.contains { $0.hasPrefix("  sample_packing: true") && $0.contains("--batch-tokens 8192") })
      #expect(differing.count == 2)
      #expect(section("left out, and the result may differ", of: output).isEmpty)
      let rest = section("left out, which changes nothing", of: output)
      #expect(rest.contains { $0.hasPrefix("  no GPU: ") && $0.hasSuffix(": bf16, tf32") })
      #expect(
        section("next", of: output) == [
          "  sft fetch NousResearch/Meta-Llama-3-8B", "  sft fetch aaditya/alpaca_subset_1 --dataset",
          "  sft prepare --config prepare.yaml", "  sft train --config train.yaml",
        ])
    }
  }

  @Test func llamaFactorysExampleIsTaken() throws {
    try withSFT { sft in
      try createDirectory(sft.path("data"))
      try sft.write(
        "{\"identity\": {\"file_name\": \"identity.json\"}, \"alpaca_en_demo\": {\"file_name\": \"demo.json\"}}",
        to: "data/dataset_info.json")
      try sft.write(Self.factory, to: "llama3.yaml")
      let output = try sft.succeed("config", "from", "llama3.yaml").output
      #expect(
        try said(sft, "prepare.yaml") == [
          "model: meta-llama/Meta-Llama-3-8B-Instruct", "template: model",
          "files: [data/identity.json, data/demo.json]", "data-format: alpaca", "max-length: 2048", "val: 0",
        ])
      #expect(
        try sft.read("train.yaml") == """
          # LLaMA-Factory's settings in llama3.yaml, for sft train --config train.yaml
          lora-r: 8
          lora-targets: all-linear
          lr: 0.0001
          epochs: 3
          scheduler: cosine
          batch-size: 1
          grad-accum: 8
          save-every: 500
          # Not said there, and what LLaMA-Factory does then:
          lora-alpha: 16
          weight-decay: 0
          gradient-checkpointing: true

          """)
      try expectAccepted(sft)
      let differing = section("left out, and the result will differ", of: output)
      #expect(differing.count == 2 && differing.contains { $0.hasPrefix("  max_samples: 1000") })
      #expect(section("to know", of: output).contains { $0.contains("\"llama3\" is taken to be the model's own") })
    }
  }

  @Test func trlsExampleIsTaken() throws {
    try withSFT { sft in
      try sft.write(Self.trl, to: "sft.yaml")
      let output = try sft.succeed("config", "from", "sft.yaml").output
      #expect(
        try said(sft, "prepare.yaml") == [
          "model: Qwen/Qwen2.5-0.5B", "files: trl-lib/Capybara", "val-file: \"trl-lib/Capybara:test\"",
          "max-length: 1024", "train-on: all",
        ])
      #expect(
        try sft.read("train.yaml") == """
          # TRL's settings in sft.yaml, for sft train --config train.yaml
          lora-r: 32
          lora-alpha: 16
          lr: 0.0002
          epochs: 1
          batch-size: 2
          grad-accum: 8
          gradient-checkpointing: true
          eval-every: 100
          # Not said there, and what TRL does then:
          lora-dropout: 0.05
          weight-decay: 0
          save-every: 500

          """)
      try expectAccepted(sft)
      let differing = section("left out, and the result will differ", of: output)
      for key in ["lora_target_modules, not said", "packing: true", "eos_token: <|im_end|>"] {
        #expect(differing.contains { $0.hasPrefix("  " + key) }, "\(key)")
      }
    }
  }

  @Test func theirDefaultsAreStated() throws {
    let cases: [(text: String, prepare: [String], train: [String])] = [
      (
        "base_model: m\ndatasets: [{path: a.jsonl, type: alpaca}]\nlearning_rate: 1e-4\n",
        [
          "model: m", "files: a.jsonl", "template: alpaca", "data-format: alpaca", "val: 0", "max-length: 512",
          "overlong: drop",
        ],
        ["lr: 0.0001", "full: true", "epochs: 1", "scheduler: cosine", "batch-size: 1", "weight-decay: 0"]
      ),
      (
        "model_name_or_path: m\ndataset_name: a.jsonl\n",
        ["model: m", "files: a.jsonl", "val: 0", "max-length: 1024", "train-on: all"],
        ["full: true", "lr: 2e-05", "weight-decay: 0", "gradient-checkpointing: true", "save-every: 500"]
      ),
      (
        "model_name_or_path: m\nstage: sft\nlora_rank: 4\nval_size: 0.1\nmask_history: true\ntemplate: qwen\n",
        ["model: m", "template: model", "train-on: last", "val: 0.1", "max-length: 2048"],
        [
          "lora-r: 4", "lora-alpha: 8", "lr: 5e-05", "weight-decay: 0", "gradient-checkpointing: true",
          "save-every: 500",
        ]
      ),
    ]
    for (text, prepare, train) in cases {
      try withSFT { sft in
        try sft.write(text, to: "a.yaml")
        try sft.succeed("config", "from", "a.yaml")
        #expect(try said(sft, "prepare.yaml") == prepare)
        #expect(try said(sft, "train.yaml") == train)
      }
    }
  }

  /// A line of a TRL file, and what becomes of it: a line of one of the files.
  static let taken: [(line: String, file: String, setting: String)] = [
    ("max_steps: 30\nwarmup_ratio: 0.05", "train", "warmup-steps: 2"),
    ("max_steps: 30\nwarmup_steps: 0.1", "train", "warmup-steps: 3"),
    ("warmup_steps: 7", "train", "warmup-steps: 7"), ("max_steps: 30", "train", "max-steps: 30"),
    ("lr_scheduler_type: constant_with_warmup", "train", "scheduler: constant"),
    ("lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr_rate: 0.5}", "train", "min-lr: 1e-05"),
    ("optim: adamw_bnb_8bit", "train", "optimizer: adamw8bit"),
    ("adam_beta2: 0.95", "train", "betas: \"0.9,0.95\""),
    ("use_peft: true\nload_in_4bit: true", "train", "no-double-quant: true"),
    ("use_peft: true\nload_in_4bit: true\nbnb_4bit_quant_type: fp4", "train", "quant: fp4"),
    ("use_peft: true\nlora_target_modules: [q_proj, v_proj]", "train", "lora-targets: \"q_proj,v_proj\""),
    ("use_peft: true\nlora_target_modules: all-linear", "train", "lora-targets: all-linear"),
    ("use_peft: true\nuse_rslora: true", "train", "rslora: true"), ("save_strategy: no", "train", "save-every: 0"),
    ("save_total_limit: 5", "train", "keep-checkpoints: 5"),
    ("report_to: [tensorboard]\noutput_dir: out", "train", "tensorboard: out/runs"),
    ("seed: 7", "prepare", "seed: 7"), ("seed: 7", "train", "seed: 7"),
    ("assistant_only_loss: true", "prepare", "train-on: assistant"),
    ("chat_template_path: my.jinja", "prepare", "template: my.jinja"),
  ]

  @Test(arguments: taken) func whatMeansTheSameIsTaken(_ line: String, _ file: String, _ setting: String) throws {
    try withSFT { sft in
      try sft.write("model_name_or_path: m\ndataset_name: a.jsonl\n\(line)\n", to: "a.yaml")
      try sft.succeed("config", "from", "a.yaml")
      let lines = try said(sft, file + ".yaml")
      #expect(lines.contains(setting), "\(lines)")
      try expectAccepted(sft)
    }
  }

  static let differing: [(line: String, key: String)] = [
    ("use_dora: true", "use_dora: true"), ("lr_scheduler_type: polynomial", "lr_scheduler_type: polynomial"),
    ("neftune_noise_alpha: 5", "neftune_noise_alpha: 5"), ("optim: lion_32bit", "optim: lion_32bit"),
    ("load_in_8bit: true", "load_in_8bit: true"), ("adam_epsilon: 1e-6", "adam_epsilon: 1e-06"),
    ("warmup_ratio: 0.1", "warmup_ratio: 0.1"), ("model_revision: v2", "model_revision: v2"),
    ("dataset_train_split: train_sft", "dataset_name: a.jsonl"),
    ("use_peft: true\nlora_target_modules: .*_proj", "lora_target_modules: .*_proj"),
  ]

  @Test(arguments: differing) func whatChangesTheResultIsSaid(_ line: String, _ key: String) throws {
    try withSFT { sft in
      try sft.write("model_name_or_path: m\ndataset_name: a.jsonl\n\(line)\n", to: "a.yaml")
      let output = try sft.succeed("config", "from", "a.yaml").output
      #expect(section("left out, and the result will differ", of: output).contains { $0.hasPrefix("  " + key) })
    }
  }

  @Test func whatIsNotKnownIsSaid() throws {
    try withSFT { sft in
      try sft.write("base_model: m\nlearning_rte: 3\nuse_dora: false\n", to: "a.yaml")
      let output = try sft.succeed("config", "from", "a.yaml").output
      #expect(section("left out, and the result may differ", of: output) == ["  learning_rte: 3  not known to sft"])
      #expect(section("next", of: output).first == "  sft prepare FILE --config prepare.yaml")
    }
  }

  @Test func datasetsOfConversationsAreTaken() throws {
    try withSFT { sft in
      try sft.write(
        """
        base_model: m
        chat_template: chatml
        learning_rate: 1e-3
        lr_scheduler: cosine
        cosine_min_lr_ratio: 0.1
        max_steps: 200
        datasets:
          - path: json
            data_files: [a.jsonl, b.jsonl]
            type: chat_template
            field_messages: chat
            roles_to_train: [assistant]
          - path: org/name
            split: test
            type: chat_template
            field_messages: chat
          - path: other.jsonl
            type: alpaca
        test_datasets:
          - {path: org/name, split: validation, type: chat_template, field_messages: chat}

        """, to: "a.yaml")
      let output = try sft.succeed("config", "from", "a.yaml").output
      #expect(
        try said(sft, "prepare.yaml") == [
          "model: m", "files: [a.jsonl, b.jsonl, \"org/name:test\"]", "val-file: \"org/name:validation\"",
          "template: chatml", "data-format: messages", "columns: \"messages=chat\"", "max-length: 512",
          "overlong: drop",
        ])
      let train = try said(sft, "train.yaml")
      #expect(train.contains("min-lr: 0.0001") && train.contains("warmup-steps: 6") && train.contains("max-steps: 200"))
      try expectAccepted(sft)
      let apart = section("left out, and the result will differ", of: output)
      #expect(apart.contains { $0.hasPrefix("  datasets[2]: 2 members") && $0.contains("prepare it apart") })
    }
  }

  @Test func listedDatasetsAreLookedUp() throws {
    try withSFT { sft in
      try createDirectory(sft.path("settings"))
      try sft.write(
        """
        {"chats": {"hf_hub_url": "org/chats", "formatting": "sharegpt", "columns": {"messages": "messages"},
                   "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user",
                            "assistant_tag": "assistant"}},
         "pairs": {"file_name": "pairs.json", "ranking": true}, "odd": {"script_url": "odd"}}
        """, to: "settings/dataset_info.json")
      try sft.write(
        "model_name_or_path: m\nstage: sft\ndataset: chats, pairs, odd, none\n", to: "settings/a.yaml")
      let output = try sft.succeed("config", "from", "settings/a.yaml", "--to", "out/here").output
      let prepare = try said(sft, "out/here/prepare.yaml")
      #expect(prepare.contains("files: org/chats") && prepare.contains("data-format: messages"))
      let apart = section("left out, and the result will differ", of: output)
      for name in ["pairs", "odd", "none"] {
        #expect(apart.contains { $0.hasPrefix("  dataset: \(name) ") }, "\(name)")
      }
      try expectAccepted(sft, in: "out/here/")
    }
  }

  @Test func programsGetAValue() throws {
    try withSFT { sft in
      // JSON is YAML.
      try sft.write(
        """
        {"model_name_or_path": "m", "dataset_name": "a.jsonl", "use_peft": true, "lora_r": 8,
         "lora_target_modules": ["q_proj"], "use_dora": true, "bf16": true}
        """, to: "a.json")
      let value = try sft.succeed("config", "from", "a.json", "--json").json()
      #expect(value["tool"]?.string == "trl")
      #expect(value["prepare"]?["files"]?.array?.compactMap(\.string) == ["a.jsonl"])
      #expect(value["prepare"]?["max-length"]?.int == 1024)
      #expect(value["train"]?["lora-r"]?.int == 8 && value["train"]?["lora-dropout"]?.double == 0.05)
      #expect(value["files"]?.array?.compactMap(\.string) == ["prepare.yaml", "train.yaml"])
      let left = try #require(value["left_out"]?.array)
      let dora = try #require(left.first { $0["key"]?.string == "use_dora" })
      #expect(dora["value"]?.bool == true && dora["effect"]?.string == "differs")
      #expect(dora["reason"]?.string == "not supported")
      #expect(left.contains { $0["key"]?.string == "bf16" && $0["effect"]?.string == "none" })
    }
  }

  @Test func whatIsThereStays() throws {
    try withSFT { sft in
      try sft.write(Self.axolotl, to: "a.yaml")
      try sft.write("mine\n", to: "train.yaml")
      try sft.fail(
        73, "train.yaml: is there already. Give another --to, or replace it with --overwrite.", "config", "from",
        "a.yaml")
      #expect(try sft.read("train.yaml") == "mine\n" && !fileExists(sft.path("prepare.yaml")))
      try sft.succeed("config", "from", "a.yaml", "--overwrite")
      #expect(try sft.read("train.yaml").hasPrefix("# axolotl's settings in a.yaml"))
      // What is read is not replaced.
      try sft.write(Self.axolotl, to: "train.yaml")
      try sft.fail(
        73, "train.yaml: is the file that is read. Give another --to.", "config", "from", "train.yaml", "--overwrite")
      #expect(try sft.read("train.yaml") == Self.axolotl)
      #expect(try sft.leftovers() == [])
    }
  }

  static let bad: [(text: String, code: Int32, message: String)] = [
    ("base_model: x\nnum_epochs: many\n", 65, "bad.yaml:2: \"num_epochs\" must be a number."),
    ("base_model: x\n\nmicro_batch_size: 0\n", 65, "bad.yaml:3: \"micro_batch_size\" must be from 1 to 65,536."),
    ("base_model: [x]\n", 65, "bad.yaml:1: \"base_model\" must be a text."),
    ("base_model: x\ndatasets: {a: 1}\n", 65, "bad.yaml:2: \"datasets\" must be a list."),
    ("base_model: x\ndatasets:\n  - type: alpaca\n", 65, "bad.yaml:3: \"datasets[0]\" has no path."),
    (
      "base_model: x\ndatasets: [{path: --json}]\n", 65,
      "bad.yaml:2: \"datasets[0].path\" must be a file, a folder or a dataset."
    ),
    ("base_model: x\nlearning_rate: -1\n", 65, "bad.yaml:2: \"learning_rate\" must be above 0."),
    ("base_model: x\nlearning_rate: .inf\n", 65, "bad.yaml:2: \"learning_rate\" must be a number."),
    ("base_model: x\nsample_packing: 3\n", 65, "bad.yaml:2: \"sample_packing\" must be true or false."),
    ("base_model: x\nrl: dpo\n", 65, "bad.yaml:2: \"rl\" is not supported"),
    ("stage: dpo\n", 65, "bad.yaml:1: \"stage\" is not supported"),
    ("base_model: x\nstage: sft\n", 65, "bad.yaml: has keys of several tools: \"base_model\" is axolotl's, \"stage\""),
    ("learning_rate: 1\n", 65, "bad.yaml: has none of the keys by which a tool's settings are known. Name the tool"),
    ("base_model: [1\n", 65, "bad.yaml:2: is not valid YAML: "),
    ("base_model: x\nbase_model: y\n", 65, "bad.yaml:1: is not valid YAML: \"base_model\" stands in it twice."),
    ("- a\n", 65, "bad.yaml:1: must hold names with values"), ("", 65, "bad.yaml: must hold names with values"),
    ("base_model: x\n? [a]\n: 1\n", 65, "bad.yaml:2: has a key that is no name."),
    (
      "base_model: x\nlearning_rate: 1e-4\ncosine_min_lr_ratio: 1\nlr_scheduler: cosine\nmax_steps: 1\nadapter: lora\n"
        + "lora_modules_to_save: [\",\"]\n", 65, "bad.yaml: comes to what `sft train` refuses: --modules-to-save"
    ),
  ]

  @Test(arguments: bad) func whatIsWrongIsSaid(_ text: String, _ code: Int32, _ message: String) throws {
    try withSFT { sft in
      try sft.write(text, to: "bad.yaml")
      let outcome = try sft.run("config", "from", "bad.yaml")
      #expect(outcome.code == code && outcome.errors.hasPrefix("error: " + message), "\(outcome.errors)")
      #expect(try !fileExists(sft.path("prepare.yaml")))
      #expect(try sft.run("config", "from", "none.yaml").code == 66)
    }
  }

  /// Few bytes that stand for very many, and more bytes than settings have.
  @Test func largeFilesAreNoMatter() throws {
    try withSFT { sft in
      var text = "base_model: x\na0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
      for level in 1...12 {
        let elements = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
        text += "a\(level): &a\(level) [\(elements)]\n"
      }
      try sft.write(text, to: "a.yaml")
      let value = try sft.succeed("config", "from", "a.yaml", "--json").json()
      #expect(value["left_out"]?.array?.contains { $0["key"]?.string == "a12" } == true)
      try sft.write("base_model: x\nb: " + String(repeating: "x", count: 1 << 20), to: "b.yaml")
      #expect(try sft.run("config", "from", "b.yaml", "--to", "b").code == 65)
      #expect(try sft.succeed("config", "from", "a.yaml", "--tool", "trl", "--to", "c").code == 0)
    }
  }
}
