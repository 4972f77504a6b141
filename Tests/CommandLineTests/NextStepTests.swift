import Files
import Testing
import TestSupport

/// `sft` without a verb.
@Suite struct NextStepTests {
  @Test func itSaysWhereTheWorkStands() throws {
    try withSFT { sft in
      func state() throws -> String { try sft.succeed().output }
      #expect(try state().hasPrefix("There is nothing yet in .sft.\n\n  sft fetch OWNER/NAME  "))
      #expect(try state().contains("\n  sft prepare FILE --model MODEL   records to"))
      #expect(try !fileExists(sft.path(".sft")))
      _ = try sft.succeed(
        "prepare", SFTBinary.records, "--model", SFTBinary.model, "--max-length", "64", "--overlong", "drop")
      #expect(try state().contains("to train on, and no run.\n"))
      #expect(try state().contains("\n  sft train --lora-r 16   train an adapter"))
      _ = try sft.succeed("train", "--max-steps", "1", "--lora-r", "2")
      #expect(try state().hasPrefix("Run run-1 is finished, validation loss "))
      #expect(try state().contains("\n  sft compare --questions FILE   base and tuned"))
      try removeTree(sft.path(".sft/runs/run-1/finished.json"))
      #expect(
        try state().hasPrefix("Run run-1 was stopped after 1 of 1 update.\n\n  sft train --run run-1 --resume   go on"))
      #expect(try sft.succeed("--help").output.contains("The usual way:"))
    }
  }
}
