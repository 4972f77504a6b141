import Files
import Foundation
import Kernels
import TestSupport

/// The part of /sys that tells of CPUs and memory domains, by path.
struct SystemTree {
  static let folder = "/sys/devices/system"
  var files: [String: String] = [:]

  /// Sockets of so many cores, numbered through, then the cores' second hyper-threads and so on, as Linux numbers them; the
  /// cores are dealt out to `nodes` domains of 64 GB each.
  init(sockets: Int, cores: Int, threads: Int, nodes: Int) {
    let all = sockets * cores
    files["/cpu/online"] = "0-\(all * threads - 1)\n"
    files["/node/online"] = nodes == 1 ? "0\n" : "0-\(nodes - 1)\n"
    for core in 0..<all {
      let siblings = (0..<threads).map { "\($0 * all + core)" }
      for cpu in siblings {
        let folder = "/cpu/cpu\(cpu)/topology"
        files[folder + "/core_cpus_list"] = siblings.joined(separator: ",") + "\n"
        files[folder + "/physical_package_id"] = "\(core / cores)\n"
      }
    }
    let each = all / nodes
    for node in 0..<nodes {
      let runs = (0..<threads).map { "\($0 * all + node * each)-\($0 * all + (node + 1) * each - 1)" }
      files["/node/node\(node)/cpulist"] = runs.joined(separator: ",") + "\n"
      files["/node/node\(node)/meminfo"] =
        "Node \(node) MemTotal:       65536000 kB\nNode \(node) MemFree:        1000 kB\n"
    }
  }

  /// Two sockets of four cores with two hyper-threads each: domain 0 is CPUs 0-3 and 8-11.
  static let twoSockets = SystemTree(sockets: 2, cores: 4, threads: 2, nodes: 2)
  /// A socket of sixteen cores with one thread each, in four domains.
  static let fourDomains = SystemTree(sockets: 1, cores: 16, threads: 1, nodes: 4)

  /// Written into a folder and read from there.
  func topology(allowed: CPUSet = CPUSet()) throws -> CPUTopology {
    try withTemporaryFolder { root in
      for (path, text) in files {
        try createDirectory(parentPath(root + Self.folder + path))
        try Data(text.utf8).write(to: URL(fileURLWithPath: root + Self.folder + path))
      }
      return CPUTopology(root: root, allowed: allowed)
    }
  }
}

/// A list that the test itself wrote.
func cpus(_ list: String) -> CPUSet {
  guard let set = CPUSet(list: list) else { preconditionFailure("\(list) is no list of CPUs") }
  return set
}
