import Core
import Distributing
import Files
import FoundationEssentials
import Kernels
import Training

/// What rank 0 asks the others to train, and with what.
struct RankCommand: Codable {
  var machine: RankMachine
  /// Rank 0's workspace, and its run in it.
  var workspace: String
  var run: String
  var configuration: RunConfiguration
  /// Threads of each rank; nil for what each has.
  var threads: Int?
}

/// What has to be the same on every rank for what they compute to be one.
struct RankMachine: Codable, Equatable {
  /// Digest of the program.
  var program: Digest
  var kernels: String
  var openBLAS: String

  static func current() throws -> RankMachine {
    let algebra = LinearAlgebra.report(threads: 1)
    return RankMachine(
      program: try Digest(ofFile: "/proc/self/exe"), kernels: algebra.kernels, openBLAS: algebra.coreType)
  }

  /// Throws `usage`, with what differs, for another than rank 0's.
  func check(against leader: RankMachine) throws {
    guard program == leader.program else {
      throw SFTError(
        .usage, "its sft is another build than rank 0's", advice: "Start the same file everywhere")
    }
    guard kernels == leader.kernels, openBLAS == leader.openBLAS else {
      throw SFTError(
        .usage,
        "its CPU computes with \(kernels) kernels and OpenBLAS's \(openBLAS), rank 0's with \(leader.kernels) and "
          + "\(leader.openBLAS): results would depend on which rank computes what",
        advice: "Start sft on hosts of one kind")
    }
  }
}
