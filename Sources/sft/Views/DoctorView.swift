import Core
import Kernels
import Pipeline

/// A machine, for reading: a line for each thing that it offers, and the remarks.
package func doctorLines(_ report: DoctorReport) -> [String] {
  let algebra = report.linearAlgebra
  let free = report.workspaceFreeBytes.map { ", \(byteCount($0)) free" } ?? ""
  var lines = [
    "threads     \(report.threads), on \(report.affinityPhysicalCores) of \(counted(report.physicalCores, "core"))"
      + (report.cores > report.physicalCores
        ? " (\(report.affinity) of \(counted(report.cores, "hyper-thread")))" : "")
      + (report.cpuQuota.map { ", CPU quota \(fixed($0, 1)) cores" } ?? ""),
    "kernels     \(algebra.kernels)",
    "OpenBLAS    \(algebra.coreType) kernels, \(fixed(report.sgemmGflops, 0)) GFLOP/s in single precision"
      + (algebra.replacedCoreType.map { " (instead of its own choice, \($0))" } ?? ""),
    "memory      \(byteCount(report.memoryAvailableBytes)) free of \(byteCount(report.memoryTotalBytes)), "
      + "read at \(fixed(report.memoryGigabytesPerSecond, 1)) GB/s by one thread, "
      + "\(fixed(report.memoryGigabytesPerSecondAllThreads, 1)) GB/s by all "
      + "(over \(byteCount(report.memoryReadBytes)))",
    "domains     \(counted(report.memoryDomains.count, "memory domain"))",
  ]
  if report.memoryDomains.count > 1 {
    for domain in report.memoryDomains {
      let label = "domain \(domain.id)"
      lines.append(
        label + String(repeating: " ", count: max(1, 12 - label.count)) + counted(domain.cores, "core")
          + (domain.memoryBytes.map { ", \(byteCount($0))" } ?? "") + ", CPUs \(domain.cpus)"
          + (domain.usableCores < domain.cores ? "; this process may use \(counted(domain.usableCores, "core"))" : ""))
    }
  }
  return lines + ["workspace   \(report.workspace)\(free)"] + report.remarks.map { "note        \($0)" }
}

/// What to run where this process may use several memory domains, each with a core and its time at least; else nil.
package func domainRemark(_ report: DoctorReport) -> String? {
  domainRemark(usable: report.memoryDomains.count { $0.usableCores > 0 }, quota: report.cpuQuota)
}

/// The same of this machine, without a look at anything else of it.
func domainRemark() -> String? {
  let allowed = CPUSet.allowed()
  let usable = CPUTopology.current.domains.count { !$0.cpus.intersection(allowed).isEmpty }
  return domainRemark(usable: usable, quota: CPUAllowance.current.quota)
}

private func domainRemark(usable count: Int, quota: Double?) -> String? {
  guard count > 1, quota ?? .infinity >= Double(count) else { return nil }
  return "A core reaches its own domain's memory fastest. To train with a process for each domain: "
    + "`mpirun -n \(count) --map-by numa --bind-to numa sft train …`."
}
