import Core
import Distributing
import Testing

/// Which launchers are known by what they leave in the environment, and what the ranks tell each other of their end.
@Suite struct LaunchTests {
  @Test(arguments: [
    (["OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4"], Launch(rank: 3, count: 4)),
    (["PMI_RANK": "0", "PMI_SIZE": "2"], Launch(rank: 0, count: 2)),
    (["MV2_COMM_WORLD_RANK": "1", "MV2_COMM_WORLD_SIZE": "2"], Launch(rank: 1, count: 2)),
    (["SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS": "8"], Launch(rank: 5, count: 8)),
  ])
  func `A launcher is known by its variables`(_ environment: [String: String], _ launch: Launch) {
    #expect(Launch.detect(environment) == launch)
  }

  @Test(arguments: [
    [:], ["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"],
    // A batch script of Slurm's, in which nothing was started by srun.
    ["SLURM_PROCID": "0", "SLURM_NTASKS": "8"],
    ["PMI_RANK": "2", "PMI_SIZE": "2"], ["PMI_RANK": "x", "PMI_SIZE": "2"], ["PMI_RANK": "-1", "PMI_SIZE": "2"],
    ["PMI_SIZE": "2"],
  ])
  func `One process, half the variables and nonsense are no launch`(_ environment: [String: String]) {
    #expect(Launch.detect(environment) == nil)
  }

  @Test func `News of an end come as they were sent`() {
    let failures = [
      SFTError(.badData, "the model is another one", file: "/m", advice: "Give the same"),
      SFTError(.inputOutput, "no room"), SFTError(.usage, "배", advice: "x"),
    ]
    for control in [.end, .farewell] + failures.map(Control.failed) { #expect(Control(control.bytes) == control) }
  }

  @Test func `A message that makes no sense is an end`() {
    #expect(Control([]) == .end)
    #expect(Control([200, 1, 2]) == .end)
    #expect(Control([65]) == .failed(SFTError(.badData, "it failed")))
    #expect(Control([65, 0xff, 0, 0, 0, 9]) == .failed(SFTError(.badData, "\u{fffd}")))
  }
}
