import Core
import Files
import Kernels
import Training

/// Where the time of a run went, as far as one command took it; `profile.json` in the run's folder.
public struct Profile: Sendable, Codable, Equatable {
  public struct Entry: Sendable, Codable, Equatable {
    /// A `ProfiledOperation`, or "rest".
    public var operation: String
    public var calls: Int
    public var seconds: Double
    /// Of all the time.
    public var share: Double
    /// Of matrix products only, as is `shareOfPeak`.
    public var gflopsPerSecond: Double?
    public var shareOfPeak: Double?
  }

  /// Updates done.
  public var steps: Int
  public var threads: Int
  /// Wall time, from the first batch to the last file saved.
  public var seconds: Double
  /// Wall time without that of validations and of saving.
  public var trainingSeconds: Double
  /// CPU time of all threads together.
  public var cpuSeconds: Double
  /// CPU time / (wall time × threads). Threads that wait for work a few microseconds are awake, and count.
  public var utilization: Double
  /// This machine's best single-precision matrix product, measured before the run and after it.
  public var sgemmGflops: Double
  /// Floating-point operations of training's matrix products, in units of 10⁹.
  public var productGflop: Double
  /// `productGflop` over `trainingSeconds`, as a share of `sgemmGflops`.
  public var shareOfPeak: Double
  /// What took the most time first; the seconds add up to all the time.
  public var operations: [Entry]
  /// How an update would go on other numbers of cores; nil where none was done.
  public var scaling: Scaling?
}

/// Takes the times of a run.
struct RunProfiler {
  let profiler = Profiler()
  private let threads: Int
  private let peak: Double
  private let start: ContinuousClock.Instant
  private let startCPU: Double
  private let loopCost: LoopCost

  /// Measures the machine first, and starts the clock then.
  init(threads: Int) {
    self.threads = threads
    peak = MachineSpeed.multiply(threads: threads)
    loopCost = LoopCost.measure(cores: Compute.availableThreads)
    startCPU = MachineSpeed.processSeconds()
    start = .now
  }

  func finish(steps: Int) -> Profile {
    profiler.updates.finish()
    let seconds = max((ContinuousClock.now - start) / .seconds(1), 1e-9)
    let cpu = MachineSpeed.processSeconds() - startCPU
    // Others may have used the machine at either time.
    let peak = max(self.peak, MachineSpeed.multiply(threads: threads))
    var entries = ProfiledOperation.allCases.compactMap { operation -> Profile.Entry? in
      let sums = profiler[operation]
      guard sums.calls > 0 else { return nil }
      let rate = sums.flop > 0 ? sums.flop / max(sums.seconds, 1e-9) / 1e9 : nil
      return Profile.Entry(
        operation: operation.rawValue, calls: sums.calls, seconds: sums.seconds, share: sums.seconds / seconds,
        gflopsPerSecond: rate, shareOfPeak: rate.map { $0 / peak })
    }
    let rest = max(0, seconds - entries.reduce(0) { $0 + $1.seconds })
    entries.append(Profile.Entry(operation: "rest", calls: 0, seconds: rest, share: rest / seconds))
    let training = max(seconds - profiler[.validation].seconds - profiler[.saving].seconds, 1e-9)
    let flop = ProfiledOperation.allCases.reduce(0) { $0 + profiler[$1].flop } / 1e9
    return Profile(
      steps: steps, threads: threads, seconds: seconds, trainingSeconds: training, cpuSeconds: cpu,
      utilization: cpu / (seconds * Double(threads)), sgemmGflops: peak, productGflop: flop,
      shareOfPeak: flop / training / peak, operations: entries.sorted { $0.seconds > $1.seconds },
      scaling: Scaling(profiler.updates, cost: loopCost))
  }
}

extension Profile {
  func write(_ run: RunFolder) throws {
    try writeAtomically(Array(try reportEncoder(pretty: true).encode(self)) + [UInt8(ascii: "\n")], to: run.profile)
  }
}
