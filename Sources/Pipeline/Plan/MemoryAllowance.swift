import Files
import Glibc
import Kernels

/// How much memory this process has, and may have.
struct MemoryAllowance: Sendable, Equatable {
  /// Bytes of this process that are in memory: now, and at the most so far.
  var resident: Int
  var highest: Int
  /// Bytes that it may have in all without anything having to be given up or moved to a disk: what the system has available and
  /// its control groups and limits allow, what it has now included. nil where the system does not say.
  var limit: Int?

  /// `$SFT_AVAILABLE_MEMORY`, in bytes, is a limit too: for whoever shares the machine.
  static var current: MemoryAllowance {
    var allowance = read(root: "")
    if let given = getenv("SFT_AVAILABLE_MEMORY").flatMap({ Int(String(cString: $0)) }), given > 0 {
      allowance.limit = min(allowance.limit ?? given, given)
    }
    return allowance
  }

  /// `root` is put before the system's paths.
  static func read(root: String) -> MemoryAllowance {
    let own = fields(root + "/proc/self/status")
    let (resident, anonymous) = (own["VmRSS"] ?? 0, own["RssAnon"] ?? 0)
    // What is mapped from files is among what is available already.
    var limits = fields(root + "/proc/meminfo")["MemAvailable"].map { [$0 + anonymous] } ?? []
    // Addresses, too, can be had only up to a limit (`ulimit -v`), which what is reserved and not used counts for.
    var addresses = rlimit()
    if root.isEmpty, getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &addresses) == 0, addresses.rlim_cur < 1 << 50,
      let size = own["VmSize"]
    {
      limits.append(max(resident, Int(addresses.rlim_cur) - size + resident))
    }
    for folder in ControlGroups("memory", root: root).folders {
      if let free = free(in: folder) { limits.append(free + anonymous) }
    }
    return MemoryAllowance(resident: resident, highest: own["VmHWM"] ?? resident, limit: limits.min())
  }

  /// What a control group still allows, counting what it only caches of files as free; nil without a limit.
  private static func free(in folder: ControlGroups.Folder) -> Int? {
    func number(_ name: String) -> Int? {
      ControlGroups.readText(folder.path + "/" + name).flatMap {
        $0.split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) }
      }
    }
    let limit = number(folder.isUnified ? "memory.max" : "memory.limit_in_bytes")
    // Version 1 has a huge number for none.
    guard let limit, limit < 1 << 50, let used = number(folder.isUnified ? "memory.current" : "memory.usage_in_bytes")
    else { return nil }
    var cached = 0
    let names: Set<Substring> =
      folder.isUnified ? ["active_file", "inactive_file"] : ["total_active_file", "total_inactive_file"]
    for line in (ControlGroups.readText(folder.path + "/memory.stat") ?? "").split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2, names.contains(words[0]), let bytes = Int(words[1]) { cached += bytes }
    }
    return max(0, limit - max(0, used - cached))
  }

  /// `NAME: KIBIBYTES kB` of a file of the system's, in bytes.
  static func fields(_ path: String) -> [String: Int] {
    var fields: [String: Int] = [:]
    for line in ((try? readPseudoFile(path)) ?? "").split(separator: "\n") {
      let words = line.split(whereSeparator: \.isWhitespace)
      guard words.count >= 2, words[0].hasSuffix(":"), let kibibytes = Int(words[1]) else { continue }
      fields[String(words[0].dropLast())] = kibibytes << 10
    }
    return fields
  }
}
