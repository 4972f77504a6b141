import Files
import Foundation
import Glibc
import JSON
import TestSupport
import Testing

/// Quantising that is stopped, or that cannot go on: nothing half-written is taken for whole, and what is done stays done.
@Suite struct UnfinishedQuantizationTests {
  private func unfinished(_ sft: SFTBinary) throws -> [String] {
    let path = sft.path(".sft/unfinished")
    return try directoryExists(path) ? try directoryEntries(path).map { path + "/" + $0 } : []
  }

  /// A model of several parts: 700 MB of zeros in bfloat16, which take no room on the disk.
  private func writeLargeModel(_ sft: SFTBinary, to name: String) throws {
    let (width, inner, layers, vocabulary) = (2048, 8192, 6, 512)
    try createDirectory(sft.path(name))
    for file in try directoryEntries(SFTBinary.model)
    where file.hasPrefix("tokenizer") || file.hasSuffix("vocab.json") || file == "merges.txt" {
      try copyFile(SFTBinary.model + "/" + file, to: sft.path(name + "/" + file))
    }
    try sft.write(
      """
      {"model_type": "llama", "vocab_size": \(vocabulary), "max_position_embeddings": 64, "hidden_size": \(width),
       "intermediate_size": \(inner), "num_hidden_layers": \(layers), "num_attention_heads": 16,
       "num_key_value_heads": 4, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true,
       "hidden_act": "silu", "eos_token_id": 0}
      """, to: name + "/config.json")
    var tensors = [("model.embed_tokens.weight", [vocabulary, width])]
    for layer in 0..<layers {
      let block = "model.layers.\(layer)."
      tensors += [
        ("input_layernorm", [width]), ("self_attn.q_proj", [width, width]), ("self_attn.k_proj", [width / 4, width]),
        ("self_attn.v_proj", [width / 4, width]), ("self_attn.o_proj", [width, width]),
        ("post_attention_layernorm", [width]), ("mlp.gate_proj", [inner, width]), ("mlp.up_proj", [inner, width]),
        ("mlp.down_proj", [width, inner]),
      ].map { (block + $0.0 + ".weight", $0.1) }
    }
    tensors.append(("model.norm.weight", [width]))
    var (offset, entries) = (0, [String]())
    for (name, shape) in tensors {
      let end = offset + 2 * shape.reduce(1, *)
      entries.append("\"\(name)\":{\"dtype\":\"BF16\",\"shape\":\(shape),\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    var header = "{" + entries.joined(separator: ",") + "}"
    while header.utf8.count % 8 != 0 { header += " " }
    let path = sft.path(name + "/model.safetensors")
    try writeAtomically(
      withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + Array(header.utf8), to: path)
    try #require(truncate(path, 8 + header.utf8.count + offset) == 0)
  }

  @Test func aKilledQuantisationIsGoneOnWith() throws {
    try withSFT { sft in
      try writeLargeModel(sft, to: "m")
      let whole = try sft.succeed("quantize", "--model", "m", "--to", "whole", "--workspace", "other", "--quiet")
      #expect(whole.code == 0)
      #expect(try !directoryExists(sft.path("other")))
      let run = try sft.start(["quantize", "--model", "m", "--to", "out"])
      // Until the first part is there.
      while run.process.isRunning {
        if try unfinished(sft).contains(where: { try directoryEntries($0).contains("part-0.json") }) { break }
        usleep(2000)
      }
      kill(run.process.processIdentifier, SIGKILL)
      #expect(try run.finish().code == 128 + SIGKILL)
      #expect(try !directoryExists(sft.path("out")))
      let work = try #require(try unfinished(sft).first)
      // A part that was changed since counts as none.
      let again = try sft.succeed("quantize", "--model", "m", "--to", "out")
      #expect(again.errors.contains("Going on with a quantisation that was stopped: "), "\(again.errors)")
      #expect(try !directoryExists(work))
      #expect(
        try Digest(ofFile: sft.path("out/model.safetensors")) == Digest(ofFile: sft.path("whole/model.safetensors")))
    }
  }

  /// `train` quantises before its first update: stopped there, it has made no run, and the next one goes on.
  @Test func trainingThatIsStoppedWhileItQuantisesGoesOn() throws {
    try withSFT { sft in
      try writeLargeModel(sft, to: "m")
      try sft.write(#"{"instruction":"a","input":"","output":"b"}"#, to: "one.jsonl")
      try sft.succeed("prepare", "one.jsonl", "--model", "m", "--val", "0", "--overlong", "truncate", "--quiet")
      let run = try sft.start(["train", "--qlora", "--max-steps", "1", "--run", "a", "--quiet"])
      while run.process.isRunning {
        if try unfinished(sft).contains(where: { try directoryEntries($0).contains("part-0.json") }) { break }
        usleep(2000)
      }
      kill(run.process.processIdentifier, SIGINT)
      let stopped = try run.finish()
      #expect(stopped.code == 130, "\(stopped.errors)")
      #expect(try !directoryExists(sft.path(".sft/runs")))
      #expect(try !unfinished(sft).isEmpty)
      let again = try sft.succeed("train", "--qlora", "--max-steps", "1", "--run", "a")
      #expect(again.errors.contains("Going on with a quantisation that was stopped: "), "\(again.errors)")
      #expect(try unfinished(sft).isEmpty)
    }
  }

  @Test func aPartThatWasChangedIsMadeAgain() throws {
    try withSFT { sft in
      try writeLargeModel(sft, to: "m")
      try sft.succeed("quantize", "--model", "m", "--to", "whole", "--workspace", "other", "--quiet")
      let run = try sft.start(["quantize", "--model", "m", "--to", "out", "--quiet"])
      while run.process.isRunning {
        if try unfinished(sft).contains(where: { try directoryEntries($0).contains("part-0.json") }) { break }
        usleep(2000)
      }
      kill(run.process.processIdentifier, SIGKILL)
      _ = try run.finish()
      let path = try #require(try unfinished(sft).first) + "/linears-0.safetensors"
      var bytes = try readFile(path)
      bytes[bytes.count - 1] ^= 1
      try writeAtomically(bytes, to: path)
      try sft.succeed("quantize", "--model", "m", "--to", "out", "--quiet")
      #expect(
        try Digest(ofFile: sft.path("out/model.safetensors")) == Digest(ofFile: sft.path("whole/model.safetensors")))
    }
  }

  @Test func whatIsLeftIsCollected() throws {
    try withSFT { sft in
      try createDirectory(sft.path(".sft/unfinished/quantized-0123"))
      try sft.write("half", to: ".sft/unfinished/quantized-0123/linears-0.safetensors")
      try sft.succeed("cache", "gc", "--quiet")
      #expect(try unfinished(sft).isEmpty)
    }
  }

  /// Room for some of the parts, and then for all.
  @Test(.enabled { try canMount() }) func aDiskThatFillsIsAnErrorAndTheNextTryGoesOn() throws {
    try withSFT { sft in
      try writeLargeModel(sft, to: "m")
      try createDirectory(sft.path("disk"))
      let outcome = try sft.shell(
        """
        unshare --mount sh -c 'mount -t tmpfs -o size=120m none disk
          "$SFT" quantize --model m --to disk/out --workspace disk/w --quiet; echo code $?; ls disk
          mount -o remount,size=600m disk
          "$SFT" quantize --model m --to disk/out --workspace disk/w; echo code $?; ls disk disk/out'
        """)
      #expect(outcome.output.hasPrefix("code 74\nw\n"), "\(outcome.output)")
      #expect(outcome.output.contains("code 0"), "\(outcome.output) \(outcome.errors)")
      #expect(outcome.output.contains("model.safetensors"))
      let lines = outcome.errors.split(separator: "\n")
      #expect(
        lines.first?.hasSuffix(
          "No space left on device. Free some space and run the same command again.") == true, "\(outcome.errors)")
      #expect(
        outcome.errors.contains("Going on with a quantisation that was stopped: 1 of 2 parts"), "\(outcome.errors)")
    }
  }

  @Test func aMissingShardAndAnIndexThatLeadsElsewhereAreOneLine() throws {
    try withSFT { sft in
      try sft.copyModel(to: "m")
      let weights = sft.path("m/model.safetensors")
      guard rename(weights, sft.path("m/model-00001-of-00002.safetensors")) == 0 else { return }
      func index(_ file: String) throws {
        try sft.write(
          "{\"metadata\": {}, \"weight_map\": {\"transformer.wte.weight\": \"\(file)\"}}",
          to: "m/model.safetensors.index.json")
      }
      try index("model-00002-of-00002.safetensors")
      try sft.fail(
        66,
        "m/model.safetensors.index.json: the shard 'model-00002-of-00002.safetensors' is missing. Download the whole "
          + "model folder again.", "quantize", "--model", "m", "--to", "q", "--quiet")
      try index("../elsewhere.safetensors")
      try sft.fail(
        65,
        "m/model.safetensors.index.json: 'weight_map': 'transformer.wte.weight' is said to be in "
          + "'../elsewhere.safetensors', which is not the name of a safetensors file in this folder.", "quantize",
        "--model", "m", "--to", "q", "--quiet")
      #expect(try directoryEntries(sft.folder) == ["m"])
    }
  }
}

/// Only some users may mount.
private func canMount() throws -> Bool {
  try withTemporaryFolder {
    try SFTBinary(folder: $0).shell("unshare --mount sh -c 'mount -t tmpfs none /mnt'").code == 0
  }
}
