import Core
import Foundation
import Kernels
import Testing

/// Cores, hyper-threads and memory domains, from trees as Linux shows them.
@Suite struct CPUTopologyTests {
  @Test func `lists of CPUs are read and written as the kernel writes them`() {
    #expect(CPUSet(list: "0-3,8,10-11\n")?.numbers == [0, 1, 2, 3, 8, 10, 11])
    #expect(CPUSet(list: "5,1,1-2")?.numbers == [1, 2, 5])
    #expect(CPUSet(list: "")?.numbers == [] && CPUSet(list: "\n")?.numbers == [])
    for list in ["0", "0-1", "0-3,8,10-11", "0-31,64-95", ""] { #expect(CPUSet(list: list)?.description == list) }
    #expect(CPUSet([7, 3, 4, 3, -1, 1 << 20]).numbers == [3, 4, 7])
  }

  @Test func `nonsense and absurd sizes are no list of CPUs`() {
    let wrong = [
      "a", "-", "-1", "1-", "3-1", "1,,2", ",", "1,", "1 2", "1-2-3", "+1", "0x3", "0-3:1/2", "1.5", "٣", "0-65536",
      "99999999999999999999", "0-9223372036854775807", "max 100000", "\u{0}",
      // Longer than any list needs to be, though each number is possible.
      Array(repeating: "0-65535", count: 1000).joined(separator: ","),
    ]
    for list in wrong { #expect(CPUSet(list: list) == nil, "\(list.prefix(40))") }
    #expect(CPUSet(list: "0-65535")?.count == 65536)
  }

  @Test func `hyper-threads are told from cores, and each domain has its memory`() throws {
    let topology = try SystemTree.twoSockets.topology()
    #expect(topology.cpus.count == 16 && topology.physicalCores == 8)
    let last = try #require(topology.cpus.first { $0.number == 13 })
    #expect(last.core == 5 && last.package == 1 && last.domain == 1 && topology.place(of: 13) == last)
    #expect(topology.domains.map(\.id) == [0, 1] && topology.domains.map(\.cores) == [4, 4])
    #expect(topology.domains.map(\.cpus.description) == ["0-3,8-11", "4-7,12-15"])
    #expect(topology.domains.map(\.memoryBytes) == [65_536_000 * 1024, 65_536_000 * 1024])
    #expect(topology.coreCount(in: cpus("0-3")) == 4 && topology.coreCount(in: cpus("0,8,1")) == 2)
    #expect(topology.cores(in: cpus("5,13,1,9,8")).map(\.cpus) == [cpus("8"), cpus("1,9"), cpus("5,13")])
    // What no tree can say: a CPU that is not there is a core of its own.
    #expect(topology.coreCount(in: cpus("0,8,100,101")) == 3)
  }

  @Test func `a socket may have several domains`() throws {
    let topology = try SystemTree.fourDomains.topology()
    #expect(topology.physicalCores == 16 && Set(topology.cpus.map(\.package)) == [0])
    #expect(topology.domains.map(\.cpus.description) == ["0-3", "4-7", "8-11", "12-15"])
  }

  @Test func `domains without CPUs are left out, and CPUs without a domain are in the first`() throws {
    var tree = SystemTree.twoSockets
    tree.files["/node/online"] = "0-3,7\n"
    tree.files["/node/node2/cpulist"] = "\n"
    tree.files["/node/node2/meminfo"] = "Node 2 MemTotal: 100 kB\n"
    tree.files["/node/node1/cpulist"] = "4-7\n"
    let topology = try tree.topology()
    #expect(topology.domains.map(\.id) == [0, 1])
    #expect(topology.domains.map(\.cpus.description) == ["0-3,8-15", "4-7"])
  }

  @Test func `CPUs that are offline do not count, nor do their cores`() throws {
    var tree = SystemTree.twoSockets
    // Core 3 is off, and one hyper-thread of core 4: its sibling's list still has it.
    tree.files["/cpu/online"] = "0-2,5-10,12-15\n"
    let topology = try tree.topology()
    #expect(topology.cpus.count == 13 && topology.physicalCores == 7)
    #expect(topology.place(of: 12).core == 12)
    #expect(topology.domains.map(\.cpus.description) == ["0-2,8-10", "5-7,12-15"])
    // In containers that show other CPUs than those they run on.
    tree.files["/cpu/online"] = "0-1\n"
    let container = try tree.topology(allowed: cpus("5,13,14"))
    #expect(container.coreCount(in: cpus("5,13,14")) == 2 && container.place(of: 14).domain == 1)
  }

  @Test func `the names before Linux 5 are read`() throws {
    var tree = SystemTree.twoSockets
    tree.files = Dictionary(
      uniqueKeysWithValues: tree.files.map {
        ($0.key.replacing("core_cpus_list", with: "thread_siblings_list"), $0.value)
      })
    #expect(try tree.topology() == SystemTree.twoSockets.topology())
  }

  @Test func `without anything in sys each CPU is a core, all in one domain`() {
    #expect(CPUTopology(root: "/nowhere", allowed: cpus("0-3")) == .flat(cpus("0-3")))
    #expect(CPUTopology(root: "/nowhere", allowed: CPUSet()) == .flat(cpus("0")))
    let flat = CPUTopology.flat(CPUSet())
    #expect(flat.physicalCores == 1 && flat.domains.map(\.cpus) == [cpus("0")] && flat.domains[0].memoryBytes == nil)
  }

  @Test func `garbage in sys is as if it were missing`() throws {
    var random = SystemRandomNumberGenerator()
    let garbage = [
      "", "nonsense", "-1\n", "0-65535\n", "0-4294967296\n", "99999999999999999999\n", "3-0\n",
      "Node 0 MemTotal: x kB\n",
      "Node 0 MemTotal: 9223372036854775807 kB\n", "Node 0 MemTotal: -5 kB", String(repeating: "0,", count: 20_000),
      String(decoding: (0..<500).map { _ in UInt8.random(in: 0...255, using: &random) }, as: UTF8.self),
    ]
    for text in garbage {
      var tree = SystemTree(sockets: 2, cores: 1, threads: 2, nodes: 2)
      for path in tree.files.keys where path != "/cpu/online" { tree.files[path] = text }
      let topology = try tree.topology()
      #expect(topology.cpus.count == 4, "\(text.prefix(40))")
      #expect(topology.domains.allSatisfy { ($0.memoryBytes ?? 0) >= 0 && !$0.cpus.isEmpty }, "\(text.prefix(40))")
      #expect((1...4).contains(topology.physicalCores), "\(text.prefix(40))")
      tree.files["/cpu/online"] = text
      if CPUSet(list: text).map(\.isEmpty) ?? true {
        #expect(try tree.topology(allowed: cpus("0-1")).cpus.map(\.number) == [0, 1], "\(text.prefix(40))")
      }
    }
  }

  @Test func `this machine's own can be read`() {
    let topology = CPUTopology.current
    let allowed = CPUSet.allowed()
    #expect(!allowed.isEmpty && topology.cpus.count >= allowed.count)
    #expect((1...topology.cpus.count).contains(topology.physicalCores))
    #expect(topology.domains.reduce(0) { $0 + $1.cpus.count } == topology.cpus.count)
    #expect(CPUAllowance.current.affinity == allowed.count)
    #expect(CPUAllowance.current.physicalCores == topology.coreCount(in: allowed))
  }

  /// Binding to the CPUs that the process has anyway changes nothing for other tests.
  @Test func `a process is bound to CPUs that it may have, and to no others`() throws {
    let allowed = CPUSet.allowed()
    try allowed.restrictProcess()
    #expect(CPUSet.allowed() == allowed)
    let tasks = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")
    #expect(!tasks.isEmpty)
    for numbers in [[], [CPUSet.highestNumber]] {
      let error = #expect(throws: SFTError.self) { try CPUSet(numbers).restrictProcess() }
      #expect(error?.message.hasPrefix("the process cannot be bound to the CPUs ") == true)
    }
    #expect(CPUSet.allowed() == allowed)
  }
}
