import Core
import Files
import Glibc
import Kernels

/// What this machine offers, and what was chosen.
public struct DoctorReport: Sendable, Codable, Equatable {
  public var threads: Int
  public var linear_algebra: LinearAlgebraReport
  /// Measured single-precision matrix product, 1,536³.
  public var sgemm_gflops: Double
  /// Measured reading rate of a buffer of 256 MB by one thread.
  public var memory_gigabytes_per_second: Double
  public var memory_total_bytes: Int
  public var memory_available_bytes: Int
  public var workspace: String
  public var workspace_free_bytes: Int?
  /// What the user may want to know or do.
  public var remarks: [String]
}

/// Looks at the machine and measures for about a second.
public func examineMachine(_ workspace: Workspace, threads: Int) -> DoctorReport {
  let compute = Compute(threads: threads)
  let algebra = LinearAlgebra.report()
  let rate = MachineSpeed.multiply()
  var remarks: [String] = []
  if let replaced = algebra.replacedCoreType {
    remarks.append("OpenBLAS chose its \(replaced) kernels by itself; it runs with \(algebra.coreType) instead.")
  }
  if getenv("OPENBLAS_CORETYPE") != nil, algebra.replacedCoreType == nil {
    remarks.append("OPENBLAS_CORETYPE is set in the environment and is respected.")
  }
  let floors: [String: Double] = ["AVX-512": 40, "AVX2": 20]
  if let floor = floors[algebra.kernels], rate / Double(compute.threads) < floor {
    remarks.append(
      "Matrix products are slower than this CPU should be: it is busy, or OpenBLAS's kernels do not fit it.")
  }
  if algebra.kernels == "portable" { remarks.append("This CPU has no AVX2: training will be several times slower.") }
  let free = freeBytes(workspace.path)
  if let free, free < 1 << 30 { remarks.append("Less than 1 GB is free where the workspace is.") }
  let memory = memory()
  return DoctorReport(
    threads: compute.threads, linear_algebra: algebra, sgemm_gflops: rate,
    memory_gigabytes_per_second: measureReading(), memory_total_bytes: memory.total,
    memory_available_bytes: memory.available, workspace: workspace.path, workspace_free_bytes: free, remarks: remarks)
}

/// GB/s, the best of a few.
private func measureReading() -> Double {
  let count = 64 << 20
  let buffer = FloatBuffer(count)
  var sum = 0.0
  let best =
    (0..<3).map { _ in
      MachineSpeed.seconds {
        let words = UnsafeRawPointer(buffer.pointer).assumingMemoryBound(to: SIMD8<UInt64>.self)
        var total = SIMD8<UInt64>(repeating: 0)
        for i in 0..<count / 16 { total ^= words[i] }
        sum += Double(total[0] & 1)
      }
    }.min() ?? 1
  return sum < 0 ? 0 : Double(count) * 4 / best / 1e9
}

private func memory() -> (total: Int, available: Int) {
  var (total, available) = (0, 0)
  let lines = (try? readPseudoFile("/proc/meminfo"))?.split(separator: "\n") ?? []
  for line in lines {
    let words = line.split(whereSeparator: \.isWhitespace)
    guard words.count >= 2, let kibibytes = Int(words[1]) else { continue }
    if words[0] == "MemTotal:" { total = kibibytes << 10 }
    if words[0] == "MemAvailable:" { available = kibibytes << 10 }
  }
  return (total, available)
}

private func freeBytes(_ path: String) -> Int? {
  var place = path
  while !directoryExists(place), place != ".", place != "/" { place = parentPath(place) }
  var info = statvfs()
  return statvfs(place, &info) == 0 ? Int(info.f_bavail) * Int(info.f_frsize) : nil
}
