import Glibc

/// How a machine's logical CPUs lie: which are hyper-threads of one physical core, and which memory is near them.
package struct CPUTopology: Sendable, Equatable {
  /// A logical CPU.
  package struct CPU: Sendable, Equatable {
    package var number: Int
    /// Its physical core, named by the lowest of that core's CPUs. Those that share one are hyper-threads of it.
    package var core: Int
    /// Its socket.
    package var package: Int
    /// Its memory domain's `id`.
    package var domain: Int
  }

  /// Memory, and the CPUs that reach it fastest: a NUMA node.
  package struct Domain: Sendable, Equatable {
    package var id: Int
    package var cpus: CPUSet
    /// Physical cores.
    package var cores: Int
    /// nil where the system does not say.
    package var memoryBytes: Int?
  }

  /// Ascending by number; at least one.
  package let cpus: [CPU]
  /// Ascending by id; at least one, each with CPUs.
  package let domains: [Domain]

  private let places: [Int: CPU]

  /// This machine's, with the CPUs that this process may run on.
  package static let current: CPUTopology = {
    let allowed = CPUSet.allowed()
    return CPUTopology(allowed: allowed.isEmpty ? CPUSet(0..<max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) : allowed)
  }()

  /// Reads it from /sys below `root`: the CPUs that are online, and those `allowed` to this process, which containers may show
  /// as others. What is missing, or no list of CPUs, is as if the machine had nothing of it: each CPU a core, all in one domain.
  package init(root: String = "", allowed: CPUSet) {
    let system = root + "/sys/devices/system"
    let found = (Self.list(system + "/cpu/online") ?? CPUSet()).union(allowed)
    let online = found.isEmpty ? CPUSet([0]) : found

    var domainOf: [Int: Int] = [:]
    var memory: [Int: Int] = [:]
    let isOnline = Set(online.numbers)
    for id in Self.list(system + "/node/online")?.numbers ?? [] {
      let near = Self.list("\(system)/node/node\(id)/cpulist")?.numbers ?? []
      for cpu in near where isOnline.contains(cpu) && domainOf[cpu] == nil { domainOf[cpu] = id }
      if !near.isEmpty { memory[id] = Self.memory("\(system)/node/node\(id)/meminfo") }
    }
    // A CPU that no node lists is counted with the first of them.
    let first = domainOf.values.min() ?? 0

    self.init(
      cpus: online.numbers.map { number in
        let folder = "\(system)/cpu/cpu\(number)/topology"
        return CPU(
          number: number, core: Self.siblings(of: number, folder).first(where: isOnline.contains) ?? number,
          package: Self.package(folder), domain: domainOf[number] ?? first)
      }, memory: memory)
  }

  /// CPUs without hyper-threads, in one domain; what is assumed where nothing is known.
  package static func flat(_ cpus: CPUSet) -> CPUTopology {
    let numbers = cpus.isEmpty ? [0] : cpus.numbers
    return CPUTopology(cpus: numbers.map { CPU(number: $0, core: $0, package: 0, domain: 0) }, memory: [:])
  }

  private init(cpus: [CPU], memory: [Int: Int]) {
    self.cpus = cpus
    places = Dictionary(cpus.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
    domains = Dictionary(grouping: cpus, by: \.domain).sorted { $0.key < $1.key }.map { id, members in
      Domain(
        id: id, cpus: CPUSet(members.map(\.number)), cores: Set(members.map(\.core)).count, memoryBytes: memory[id])
    }
  }

  /// Physical cores of the machine.
  package var physicalCores: Int { Set(cpus.map(\.core)).count }

  /// Physical cores that have a CPU in `mask`.
  package func coreCount(in mask: CPUSet) -> Int { Set(mask.numbers.map { place(of: $0).core }).count }

  /// Where a CPU is. One that is not known is a core of its own in the first domain.
  package func place(of number: Int) -> CPU {
    places[number] ?? CPU(number: number, core: number, package: 0, domain: domains.first?.id ?? 0)
  }

  /// Where the physical cores of `mask` are, with their CPUs in it, ordered by domain, package and core.
  package func cores(in mask: CPUSet) -> [(place: CPU, cpus: CPUSet)] {
    Dictionary(grouping: mask.numbers) { place(of: $0).core }.values
      .map { numbers in (place(of: numbers.min() ?? 0), CPUSet(numbers)) }
      .sorted { first, second in
        let (a, b) = (first.place, second.place)
        return (a.domain, a.package, a.core) < (b.domain, b.package, b.core)
      }
  }
}

/// The files of /sys.
extension CPUTopology {
  /// The most hyper-threads that a core of any machine has, POWER's. A list of more is not believed.
  private static let mostThreads = 8

  /// Long enough for every second number there may be.
  private static func list(_ path: String, limit: Int = 1 << 18) -> CPUSet? {
    ControlGroups.readText(path, limit: limit).flatMap { CPUSet(list: $0) }
  }

  /// The CPUs of the same core, ascending, itself among them; empty where the system does not say.
  private static func siblings(of number: Int, _ folder: String) -> [Int] {
    // The newer name, and that before Linux 5.3.
    for name in ["core_cpus_list", "thread_siblings_list"] {
      let siblings = list("\(folder)/\(name)", limit: 1 << 12)?.numbers ?? []
      if siblings.count <= mostThreads && siblings.contains(number) { return siblings }
    }
    return []
  }

  private static func package(_ folder: String) -> Int {
    let word = ControlGroups.readText(folder + "/physical_package_id")?.split(whereSeparator: \.isWhitespace).first
    return max(0, word.flatMap { Int($0) } ?? 0)
  }

  /// Bytes by a line "Node 0 MemTotal:  65842436 kB"; nil without one.
  private static func memory(_ path: String) -> Int? {
    for line in (ControlGroups.readText(path) ?? "").split(separator: "\n") {
      let words = line.split(whereSeparator: \.isWhitespace)
      guard words.count >= 4, words[2] == "MemTotal:", let kilobytes = Int(words[3]), kilobytes >= 0 else { continue }
      let (bytes, overflow) = kilobytes.multipliedReportingOverflow(by: 1024)
      return overflow ? nil : bytes
    }
    return nil
  }
}
