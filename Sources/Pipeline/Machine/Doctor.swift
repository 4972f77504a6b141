import Core
import Files
import Glibc
import Kernels

/// What this machine offers, and what was chosen.
public struct DoctorReport: Sendable, Codable, Equatable {
  /// Logical CPUs that are online, and those that this process may run on: hyper-threads count.
  public var cores: Int
  public var affinity: Int
  /// Physical cores of both.
  public var physicalCores: Int
  public var affinityPhysicalCores: Int
  /// Cores' worth of time that its control groups allow; nil without a limit.
  public var cpuQuota: Double?
  public var threads: Int
  public var linearAlgebra: LinearAlgebraReport
  /// Measured single-precision matrix product, 1,536³.
  public var sgemmGflops: Double
  /// Measured rate of reading `memory_read_bytes`, by one thread and by all.
  public var memoryGigabytesPerSecond: Double
  public var memoryGigabytesPerSecondAllThreads: Double
  public var memoryReadBytes: Int
  public var memoryTotalBytes: Int
  public var memoryAvailableBytes: Int
  /// NUMA nodes with CPUs: at least one.
  public var memoryDomains: [MemoryDomain]
  public var workspace: String
  public var workspaceFreeBytes: Int?
  /// What the user may want to know or do.
  public var remarks: [String]
}

/// Memory, and the CPUs near it.
public struct MemoryDomain: Sendable, Codable, Equatable {
  /// The NUMA node's number.
  public var id: Int
  /// Physical cores.
  public var cores: Int
  /// Its logical CPUs, as Linux writes them: "0-31,64-95".
  public var cpus: String
  /// nil where the system does not say.
  public var memoryBytes: Int?
  /// Physical cores of it that this process may run on.
  public var usableCores: Int

  init(_ domain: CPUTopology.Domain, of topology: CPUTopology, allowed: CPUSet) {
    id = domain.id
    cores = domain.cores
    cpus = domain.cpus.description
    memoryBytes = domain.memoryBytes
    usableCores = allowed.isEmpty ? domain.cores : topology.coreCount(in: domain.cpus.intersection(allowed))
  }
}

/// Looks at the machine and measures for a few seconds.
public func examineMachine(_ workspace: Workspace, threads: Int) -> DoctorReport {
  let compute = Compute(threads: threads)
  let allowance = CPUAllowance.current
  let memory = memory()
  let topology = CPUTopology.current
  let allowed = CPUSet.allowed()
  let reading = MachineSpeed.reading(threads: compute.threads, available: memory.available)
  var report = DoctorReport(
    cores: allowance.cores, affinity: allowance.affinity, physicalCores: topology.physicalCores,
    affinityPhysicalCores: allowance.physicalCores, cpuQuota: allowance.quota, threads: compute.threads,
    linearAlgebra: LinearAlgebra.report(threads: threads), sgemmGflops: MachineSpeed.multiply(threads: threads),
    memoryGigabytesPerSecond: reading.oneThread, memoryGigabytesPerSecondAllThreads: reading.allThreads,
    memoryReadBytes: reading.bytes, memoryTotalBytes: memory.total, memoryAvailableBytes: memory.available,
    memoryDomains: topology.domains.map { MemoryDomain($0, of: topology, allowed: allowed) },
    workspace: workspace.path, workspaceFreeBytes: workspace.freeBytes, remarks: [])
  report.remarks = speedRemarks(report, allowance) + kernelRemarks(report)
  if let free = report.workspaceFreeBytes, free < 1 << 30 {
    report.remarks.append("Less than 1 GB is free where the workspace is.")
  }
  return report
}

/// Fewer cores than there might be, and slower ones.
private func speedRemarks(_ report: DoctorReport, _ allowance: CPUAllowance) -> [String] {
  var remarks: [String] = []
  if allowance.physicalCores < report.physicalCores {
    remarks.append(
      "This process may run on \(allowance.physicalCores) of the machine's \(report.physicalCores) cores only.")
  }
  if allowance.physicalCores < allowance.affinity {
    remarks.append(
      "This process's \(allowance.affinity) CPUs are hyper-threads of \(counted(allowance.physicalCores, "core")): those of "
        + "a core share its vector units, so a thread a core is enough.")
  }
  if let quota = allowance.quota, quota < Double(allowance.physicalCores) {
    remarks.append(
      "A control group allows \(fixed(quota, 1)) cores' worth of time on \(counted(allowance.physicalCores, "core")): more "
        + "threads would only wait.")
  }
  if report.threads < allowance.threads {
    remarks.append(
      "\(report.threads) of \(allowance.threads) usable cores are used: leave \(OptionName.threads) out for all.")
  }
  if report.threads > allowance.threads {
    remarks.append("There are more threads than the \(allowance.threads) usable cores: they will wait for each other.")
  }
  let floors: [String: Double] = ["AVX-512": 40, "AVX2": 20]
  let workers = min(report.threads, allowance.threads)
  if let floor = floors[report.linearAlgebra.kernels], report.sgemmGflops / Double(workers) < floor {
    remarks.append(
      "Matrix products are slower than this CPU should be: it is busy, or OpenBLAS's kernels do not fit it.")
  }
  return remarks
}

/// What OpenBLAS runs with, where that is not what one would expect.
private func kernelRemarks(_ report: DoctorReport) -> [String] {
  let algebra = report.linearAlgebra
  var remarks: [String] = []
  if let replaced = algebra.replacedCoreType {
    remarks.append("OpenBLAS chose its \(replaced) kernels by itself; it runs with \(algebra.coreType) instead.")
  } else if getenv("OPENBLAS_CORETYPE") != nil {
    remarks.append("OPENBLAS_CORETYPE is set in the environment and is respected.")
  }
  if LinearAlgebra.isBelowTheCPU {
    remarks.append(
      "OpenBLAS runs with its \(algebra.coreType) kernels, which leave this CPU's \(algebra.kernels) unused: several "
        + "times slower. "
        + (getenv("OPENBLAS_CORETYPE") == nil ? "A newer OpenBLAS would know the CPU." : "Unset OPENBLAS_CORETYPE."))
  }
  if algebra.kernels == "portable" { remarks.append("This CPU has no AVX2: training will be several times slower.") }
  return remarks
}

private func memory() -> (total: Int, available: Int) {
  let fields = MemoryAllowance.fields("/proc/meminfo")
  return (fields["MemTotal"] ?? 0, fields["MemAvailable"] ?? 0)
}
