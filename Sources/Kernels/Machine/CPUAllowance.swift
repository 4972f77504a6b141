import Glibc

/// How much of the machine this process may use.
public struct CPUAllowance: Sendable, Equatable {
  /// Logical CPUs that are online: each hyper-thread counts.
  public var cores: Int
  /// Logical CPUs that this process may run on.
  public var affinity: Int
  /// Physical cores that these are of: as many, where there are no hyper-threads or the system does not say.
  public var physicalCores: Int
  /// CPU time a second that its control groups (v2 or v1) allow, in cores; nil without a limit.
  public var quota: Double?

  /// `physicalCores` is nil where it is not known.
  package init(cores: Int, affinity: Int, physicalCores: Int? = nil, quota: Double?) {
    self.cores = cores
    self.affinity = affinity
    self.physicalCores = min(affinity, physicalCores ?? affinity)
    self.quota = quota
  }

  /// Threads that are worth having: no more than physical cores, whose hyper-threads share the vector units that the kernels
  /// keep busy, nor than the quota rounded up.
  public var threads: Int {
    max(1, min(physicalCores, quota.map { Int(min($0.rounded(.up), 1e6)) } ?? physicalCores))
  }

  /// Worked out once, when it is first asked for.
  public static let current: CPUAllowance = {
    let cores = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    let allowed = CPUSet.allowed()
    return CPUAllowance(
      cores: cores, affinity: allowed.isEmpty ? cores : allowed.count,
      physicalCores: allowed.isEmpty
        ? CPUTopology.current.physicalCores : CPUTopology.current.coreCount(in: allowed),
      quota: readQuota(root: ""))
  }()

  /// The smallest limit among the process's control groups and those above them; `root` is put before the system's paths.
  package static func readQuota(root: String) -> Double? {
    ControlGroups("cpu", root: root).folders.compactMap { folder in
      folder.isUnified ? unifiedLimit(folder.path) : versionOneLimit(folder.path)
    }.min()
  }

  /// Cores by `cpu.max`, "QUOTA PERIOD" or "max PERIOD" in microseconds; nil for no limit.
  private static func unifiedLimit(_ folder: String) -> Double? {
    let words = ControlGroups.readText(folder + "/cpu.max")?.split(whereSeparator: \.isWhitespace) ?? []
    return words.count == 2 ? share(String(words[0]), of: String(words[1])) : nil
  }

  /// Cores by `cpu.cfs_quota_us` and `cpu.cfs_period_us`, in microseconds; nil for no limit, a quota of −1.
  private static func versionOneLimit(_ folder: String) -> Double? {
    guard let quota = ControlGroups.readText(folder + "/cpu.cfs_quota_us"),
      let period = ControlGroups.readText(folder + "/cpu.cfs_period_us")
    else {
      return nil
    }
    return share(quota, of: period)
  }

  private static func share(_ quota: String, of period: String) -> Double? {
    func number(_ text: String) -> Int? { text.split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) } }
    guard let quota = number(quota), let period = number(period), quota > 0, period > 0 else { return nil }
    return Double(quota) / Double(period)
  }
}
