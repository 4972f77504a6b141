import Files
import Foundation
import JSON
import Testing

/// Several processes that train together, where Open MPI is.
enum OpenMPI {
  static let mpirun = "/usr/bin/mpirun"

  static let isMissing: Comment = "there is no Open MPI, or no sft-mpi.so: make build MPI=1"

  /// Whether several processes can be tried here.
  static var isThere: Bool {
    guard let sft = try? SFTBinary.path() else { return false }
    return (try? fileExists(mpirun)) == true && (try? fileExists(parentPath(sft) + "/sft-mpi.so")) == true
  }

  /// What `mpirun` needs where it is run as root on few cores.
  private static let environment = [
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
    // Room for a test's ranks on a machine that all tests share.
    "OMPI_MCA_hwloc_base_binding_policy": "none",
  ]

  static func withRanks<Result>(_ body: (inout SFTBinary) throws -> Result) throws -> Result {
    try withSFT { sft in
      sft.environment = environment
      return try body(&sft)
    }
  }
}

extension SFTBinary {
  /// Starts so many ranks.
  func startRanks(_ count: Int, _ arguments: [String]) throws -> Running {
    try start(["-n", "\(count)", try Self.path()] + arguments, executable: OpenMPI.mpirun)
  }

  /// Trains a run in one process, or in so many ranks.
  func train(
    ranks: Int, run: String, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let arguments = arguments + ["--run", run, "--quiet"]
    let outcome = try ranks == 1 ? self.run(arguments) : startRanks(ranks, arguments).finish()
    #expect(outcome.code == 0, "\(ranks) ranks: \(outcome.errors)", sourceLocation: sourceLocation)
  }

  /// All that a run leaves but times: weights, moments, metrics.
  func result(of run: String, _ weights: String, step: Int) throws -> [[UInt8]] {
    let folder = path(".sft/runs/\(run)")
    let files = [
      "\(weights)", "best/\((weights as NSString).lastPathComponent)", "checkpoints/step-\(step)/optimizer.safetensors",
    ]
    return try files.map { try readFile("\(folder)/\($0)") } + [Array(try metrics(run).joined(separator: "\n").utf8)]
  }
}
