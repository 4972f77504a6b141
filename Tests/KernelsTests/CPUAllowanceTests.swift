import Files
import Kernels
import TestSupport
import Testing

/// The CPU quota, from control groups as systems have them.
@Suite struct CPUAllowanceTests {
  private func quota(_ files: [String: String]) throws -> Double? {
    try withTemporaryFolder { root in
      for (path, text) in files {
        try createDirectory(parentPath(root + path))
        try writeAtomically(text, to: root + path)
      }
      return CPUAllowance.readQuota(root: root)
    }
  }

  @Test func versionTwo() throws {
    #expect(try quota([:]) == nil)
    #expect(try quota(["/sys/fs/cgroup/cpu.max": "max 100000\n"]) == nil)
    #expect(try quota(["/sys/fs/cgroup/cpu.max": "150000 100000\n"]) == 1.5)
    #expect(try quota(["/sys/fs/cgroup/cpu.max": "nonsense\n"]) == nil)
    // The tightest of the process's own group and those above it.
    let nested = [
      "/proc/self/cgroup": "0::/user.slice/job\n", "/sys/fs/cgroup/user.slice/cpu.max": "300000 100000\n",
      "/sys/fs/cgroup/user.slice/job/cpu.max": "50000 100000\n",
    ]
    #expect(try quota(nested) == 0.5)
    #expect(try quota(nested.merging(["/sys/fs/cgroup/user.slice/cpu.max": "20000 100000\n"]) { $1 }) == 0.2)
    #expect(try quota(nested.merging(["/proc/self/cgroup": "0::/other\n"]) { $1 }) == nil)
  }

  @Test func versionOne() throws {
    func group(_ quota: String) -> [String: String] {
      let folder = "/sys/fs/cgroup/cpu,cpuacct/docker/x"
      return [
        "/proc/self/cgroup": "7:memory:/m\n4:cpu,cpuacct:/docker/x\n", folder + "/cpu.cfs_quota_us": quota + "\n",
        folder + "/cpu.cfs_period_us": "100000\n",
      ]
    }
    #expect(try quota(group("250000")) == 2.5)
    #expect(try quota(group("-1")) == nil)
  }

  @Test func threads() {
    func threads(_ affinity: Int, _ quota: Double?, physical: Int? = nil) -> Int {
      CPUAllowance(cores: 64, affinity: affinity, physicalCores: physical, quota: quota).threads
    }
    #expect(threads(8, nil) == 8)
    #expect(threads(8, 1.5) == 2)
    #expect(threads(1, 1.5) == 1)
    #expect(threads(8, 0.2) == 1)
    // Hyper-threads of four cores.
    #expect(threads(8, nil, physical: 4) == 4 && threads(8, 6, physical: 4) == 4)
    #expect(threads(8, 3, physical: 4) == 3 && threads(2, nil, physical: 4) == 2)
    #expect(Compute.availableThreads == CPUAllowance.current.threads && Compute.availableThreads >= 1)
  }
}
