import Core
import Files
import Foundation
import Glibc
import Testing
import TestSupport

/// What the system does to a command, and what it then says.
@Suite struct SystemFaultTests {
  @Test(arguments: ["config.json", "model.safetensors", "tokenizer.json", "generation_config.json"])
  func aPipeInAModelFolderIsRefusedAndNotWaitedFor(_ name: String) throws {
    try withSFT { sft in
      try sft.copyModel(to: "m")
      try removeTree(sft.path("m/" + name))
      try #require(mkfifo(sft.path("m/" + name), 0o600) == 0)
      try sft.fail(66, "m/\(name): is not a regular file.", "prepare", SFTBinary.records, "--model", "m")
    }
  }

  /// A link to itself stands for a disk that fails: `stat` does not say that the file is not there.
  @Test func aFileThatCannotBeLookedAtIsNotLeftOut() throws {
    try withSFT { sft in
      try sft.copyModel(to: "m")
      for name in ["generation_config.json", "vocab.json"] {
        try removeTree(sft.path("m/" + name))
        try #require(symlink(name, sft.path("m/" + name)) == 0)
        try sft.fail(
          74, "m/\(name): cannot read: Too many levels of symbolic links.", "quantize", "--model", "m", "--to", "q",
          "--quiet")
        #expect(try directoryEntries(sft.folder) == ["m"])
        try writeAtomically(try readFile(SFTBinary.model + "/" + name), to: sft.path("m/" + name))
      }
    }
  }

  /// The plain engine reads the weights where they are mapped.
  @Test func weightsThatAreCutShortWhileTheyAreInUseAreNamed() throws {
    try withSFT { sft in
      try sft.copyModel(to: "m")
      try sft.succeed("prepare", SFTBinary.records, "--model", "m", "--val", "0", "--quiet")
      let run = try sft.start([
        "train", "--run", "a", "--engine", "plain", "--max-steps", "1000000", "--save-every", "1000000", "--quiet",
      ])
      let metrics = sft.path(".sft/runs/a/metrics.jsonl")
      while run.process.isRunning, try (FileStatus(metrics)?.size ?? 0) == 0 { usleep(10_000) }
      #expect(truncate(sft.path("m/model.safetensors"), 0) == 0)
      let outcome = try run.finish()
      #expect(outcome.code == 74)
      #expect(
        outcome.errors == "error: \(sft.folder)/m/model.safetensors: can no longer be read: it was cut short while it "
          + "was in use, or its disk fails. Put it back as it was, and run the command again.\n")
    }
  }

  @Test func whatAKilledExportLeftIsRemovedByTheNext() throws {
    try withSFT { sft in
      for name in ["out.tmp-2147483647-7", "out.tmp-\(getpid())-7", "other.tmp-2147483647-7"] {
        try createDirectory(sft.path(name))
        try sft.write("half", to: name + "/model.safetensors")
      }
      try sft.succeed("quantize", "--model", SFTBinary.model, "--to", "out", "--quiet")
      #expect(
        try directoryEntries(sft.folder) == ["other.tmp-2147483647-7", "out", "out.tmp-\(getpid())-7"])
    }
  }

  /// 600 million weights where there is room for 500 million.
  @Test func memoryThatCannotBeHadIsAnError() throws {
    try withSFT { sft in
      try sft.write(String(repeating: "The quick brown fox jumps over the lazy dog.\n", count: 200), to: "text")
      let configuration = """
        {"model_type": "gpt2", "vocab_size": 300, "n_positions": 64, "n_embd": 2048, "n_layer": 12, "n_head": 16}
        """
      try sft.write(configuration, to: "config.json")
      let outcome = try sft.shell(
        "ulimit -v 2000000; sft pretrain text --config config.json --vocab-size 300 --max-steps 1 --val 0 --quiet "
          + "--no-memory-check")
      #expect(outcome.code == 70)
      #expect(outcome.errors.hasPrefix("error: out of memory: 2.4 GB more could not be had."), "\(outcome.errors)")
      // Which is seen to come.
      let refused = try sft.shell(
        "ulimit -v 2000000; sft pretrain text --config config.json --vocab-size 300 --max-steps 1 --val 0 --quiet")
      #expect(refused.code == 64 && refused.errors.hasPrefix("error: the run would take "), "\(refused.errors)")
    }
  }

  /// What lies above the address space that the command needs is for a stack: none of that size can be had.
  @Test func threadsThatCannotBeHadAreAnError() throws {
    try withSFT { sft in
      try sft.prepare("--val", "0")
      sft.environment["OPENBLAS_NUM_THREADS"] = "1"
      let outcome = try sft.shell(
        "ulimit -s 4000000 && ulimit -v 4000000 && exec timeout 60 \"$SFT\" train --threads 2 --max-steps 2 --quiet")
      #expect(outcome.code == 70)
      #expect(
        outcome.errors
          == "error: a thread could not be had: Resource temporarily unavailable. Give fewer with --threads, "
          + "or raise the limit on processes or memory.\n")
    }
  }
}

/// What comes before a command that is to see no `/proc`, as in a chroot; a quote ends it.
private let hidingProc = "unshare --mount sh -c 'mount -t tmpfs none /proc && "

/// Only a user who may mount can hide it.
private func canHideProc() throws -> Bool {
  try withTemporaryFolder { try SFTBinary(folder: $0).shell(hidingProc + "true'").code == 0 }
}

@Suite(.enabled { try canHideProc() })
struct WithoutProcTests {
  @Test func commandsGetTheirArguments() throws {
    try withSFT { sft in
      let outcome = try sft.shell(hidingProc + "exec \"$SFT\" runs --workspace w'")
      #expect(outcome.code == 0 && outcome.errors == "")
      #expect(outcome.output == "no runs in w/runs\n")
      #expect(try sft.shell(hidingProc + "exec \"$SFT\" runs --no-such-option'").code == 64)
    }
  }
}
