import CKernels
import Glibc

/// How much of the machine this process may use.
public struct CPUAllowance: Sendable, Equatable {
  /// Cores that are online.
  public var cores: Int
  /// Cores that this process may run on.
  public var affinity: Int
  /// CPU time a second that its control groups (v2 or v1) allow, in cores; nil without a limit.
  public var quota: Double?

  package init(cores: Int, affinity: Int, quota: Double?) {
    self.cores = cores
    self.affinity = affinity
    self.quota = quota
  }

  /// Threads that are worth having: no more than cores, nor than the quota rounded up.
  public var threads: Int { max(1, min(affinity, quota.map { Int($0.rounded(.up)) } ?? affinity)) }

  public static let current: CPUAllowance = {
    let cores = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    let allowed = Int(sft_allowed_cpus())
    return CPUAllowance(cores: cores, affinity: allowed > 0 ? allowed : cores, quota: readQuota(root: ""))
  }()

  /// The smallest limit among the process's control groups and those above them; `root` is put before the system's paths.
  package static func readQuota(root: String) -> Double? {
    let mount = root + "/sys/fs/cgroup"
    var limits = [unifiedLimit(mount)]
    for line in (readText(root + "/proc/self/cgroup") ?? "").split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let controllers = parts[1].split(separator: ",")
      // "0::/path" in version 2, "4:cpu,cpuacct:/path" in version 1.
      guard controllers.isEmpty || controllers.contains("cpu") else { continue }
      let base = controllers.isEmpty ? mount : "\(mount)/\(parts[1])"
      var folder = base
      var folders = [folder]
      for name in parts[2].split(separator: "/") {
        folder += "/" + name
        folders.append(folder)
      }
      limits += folders.map(controllers.isEmpty ? unifiedLimit : versionOneLimit)
    }
    return limits.compactMap { $0 }.min()
  }

  /// `cpu.max`: "QUOTA PERIOD" or "max PERIOD", in microseconds.
  private static func unifiedLimit(_ folder: String) -> Double? {
    let words = readText(folder + "/cpu.max")?.split(whereSeparator: \.isWhitespace) ?? []
    return words.count == 2 ? share(String(words[0]), of: String(words[1])) : nil
  }

  /// The same in two files; −1 for no limit.
  private static func versionOneLimit(_ folder: String) -> Double? {
    guard let quota = readText(folder + "/cpu.cfs_quota_us"), let period = readText(folder + "/cpu.cfs_period_us")
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

  /// A small file of the system's, or nil.
  private static func readText(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 14)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}
