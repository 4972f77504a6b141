import CKernels
import Core
import Glibc
import Synchronization

/// Which code computes: the fast path, or the plain Swift reference that it is tested against.
public enum Engine: String, Sendable, Codable, CaseIterable {
  case auto
  case plain
}

/// What 4-bit weights are multiplied with where a few rows are at a time, as in generation.
public enum RowPrecision: String, Sendable, Codable, CaseIterable {
  /// The rows as they are.
  case float32
  /// The rows rounded to 16-bit integers, 128 elements at a time with AVX-512 and 64 with AVX2; elsewhere as they are.
  case int16
  /// The rows rounded to 8-bit integers, 64 elements at a time, and the code's sixteen levels to 7 bits, on CPUs with AVX2;
  /// elsewhere as they are.
  case int8

  /// Whether this CPU has what it takes.
  public var isAvailable: Bool {
    switch self {
    case .float32: true
    case .int16: sft_four_bit_has_integers(sft_cpu_level()) != 0
    case .int8: sft_four_bit_has_bytes(sft_cpu_level()) != 0
    }
  }
}

/// Which kernels multiply rows by frozen weights, and attend: the fastest for so many rows, or those that give a row the same
/// bits whatever is computed with it, so that an answer does not depend on what else is asked.
///
/// `byRow` keeps that promise with AVX-512, and with AVX2 for all but ggml's blocks, which are multiplied on panels there.
public enum RowKernels: Sendable {
  /// One row, a few and many are multiplied by different kernels, which sum in different orders.
  case fastest
  /// Weights are decoded row by row, for up to eight rows at a time: for sequences that each get one token more.
  case byRow
  /// Weights are decoded a panel at a time, and queries are attended to in tiles, be it one row: for prompts.
  case byPanel
}

/// How to compute: handed to every kernel.
public struct Compute: Sendable {
  public var engine: Engine
  public var threads: Int
  public var rowPrecision = RowPrecision.float32
  public var rowKernels = RowKernels.fastest
  /// nil where nobody wants to know where the time goes.
  public var profiler: Profiler?

  public init(
    engine: Engine = .auto, threads: Int = Compute.availableThreads, profiler: Profiler? = nil
  ) {
    self.engine = engine
    self.profiler = profiler
    self.threads = max(1, threads)
    Self.coresAreKnown
    LinearAlgebra.prepare(threads: self.threads)
  }

  /// The same with other kernels for rows.
  public func with(_ rowKernels: RowKernels) -> Compute {
    var copy = self
    copy.rowKernels = rowKernels
    return copy
  }

  /// Physical cores this process may run on; or its control groups' CPU quota rounded up, or what it was limited to, where that
  /// is less.
  public static var availableThreads: Int { min(CPUAllowance.current.threads, threadLimit.load(ordering: .relaxed)) }

  private static let threadLimit = Atomic<Int>(.max)

  /// Limits what `availableThreads` gives: where other processes compute on the same cores.
  package static func limitThreads(_ count: Int) { threadLimit.store(max(1, count), ordering: .relaxed) }

  /// Loops are run by no more threads than there are cores, be they cut for more.
  private static let coresAreKnown: Void = limitThreadsAtWork(to: availableThreads)

  /// Gives memory that was freed back to the system: worth it after something large was parsed.
  public static func trimHeap() { sft_trim_heap() }

  /// Splits 0..<count into ranges of at least `grain` and runs them on the threads. The split depends on nothing but
  /// `count`, `grain` and `threads`, so results repeat.
  func overRanges(_ count: Int, grain: Int, _ body: @Sendable (Range<Int>) -> Void) {
    let size = LoopCut.rangeSize(count, grain: grain, threads: threads)
    parallelFor((count + size - 1) / size, threads: threads, cut: .ranges(count, grain: grain)) { piece in
      let start = piece * size
      body(start..<min(count, start + size))
    }
  }
}

/// What the linear algebra runs on: for `doctor`, and recorded in each run.
public struct LinearAlgebraReport: Sendable, Codable, Equatable {
  /// OpenBLAS's kernel set, such as `SkylakeX`.
  public var coreType: String
  /// What OpenBLAS chose by itself, where it was changed.
  public var replacedCoreType: String?
  public var threads: Int
  /// The level of this project's own kernels: "AVX-512", "AVX2" or "portable". From AVX2 on they also do the products of
  /// several rows; OpenBLAS does the rest.
  public var kernels: String
}
