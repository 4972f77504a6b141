import Core

/// Where one of the ranks on a host runs: a training's processes, one beside the other.
package struct RankPlacement: Sendable, Equatable {
  /// What its mask is to be; nil to leave it as it is.
  package var cpus: CPUSet?
  /// Threads worth having, at least one.
  package var threads: Int
  /// Ids of the memory domains it runs in, ascending.
  package var domains: [Int]
  /// A sentence on what is not as it should be; perhaps the same for several ranks.
  package var remark: String?

  package init(cpus: CPUSet? = nil, threads: Int, domains: [Int], remark: String? = nil) {
    self.cpus = cpus
    self.threads = threads
    self.domains = domains
    self.remark = remark
  }

  /// What each local rank gets, by the masks that they inherited from the launcher (one a local rank, in their order; an empty one
  /// is of a rank that may run anywhere) and the cores' worth of time that the host's control groups allow them together. The
  /// same for the same arguments, so that each rank can work it out for itself.
  ///
  /// - Masks without a core in common: the launcher placed these ranks. They keep their masks, with a thread for each physical
  ///   core.
  /// - Ranks with the same mask, bound to nothing of their own: its cores are dealt out, each with all its hyper-threads in the mask.
  ///   Where the numbers allow it a rank gets whole memory domains or a part of one.
  /// - Masks that overlap in part, and more ranks than cores: masks are kept, and the threads are those cores' shares.
  package static func place(
    masks: [CPUSet], on topology: CPUTopology, quota: Double? = nil
  ) -> [RankPlacement] {
    let all = CPUSet(topology.cpus.map(\.number))
    let masks = masks.map { $0.isEmpty ? all : $0 }
    let held = masks.map { topology.cores(in: $0) }
    var result = held.map { RankPlacement(threads: $0.count, domains: domains(of: $0)) }
    let groups = groups(held.map { Set($0.map(\.place.core)) })
    for group in groups where group.count > 1 {
      let cores = held[group[0]]
      if group.allSatisfy({ masks[$0] == masks[group[0]] }) {
        if group.count <= cores.count {
          for (rank, part) in zip(group, deal(cores, to: group.count)) {
            result[rank].cpus = CPUSet(part.flatMap(\.cpus.numbers))
            result[rank].threads = part.count
            result[rank].domains = domains(of: part)
          }
        } else {
          for rank in group {
            result[rank].threads = 1
            result[rank].remark =
              "\(group.count) ranks of this machine share \(counted(cores.count, "core")): they will wait for each other."
          }
        }
      } else {
        share(held, among: group, &result)
      }
    }
    if groups.count == held.count, held.allSatisfy({ $0.count == 1 }), topology.physicalCores > held.count {
      for rank in result.indices {
        result[rank].remark =
          "Each rank of this machine is bound to one of its \(topology.physicalCores) cores: the launcher can give a rank "
          + "more, such as those of a memory domain."
      }
    }
    if let quota { limit(&result, to: quota) }
    return result
  }

  private typealias HeldCore = (place: CPUTopology.CPU, cpus: CPUSet)

  private static func domains(of cores: [HeldCore]) -> [Int] { Set(cores.map(\.place.domain)).sorted() }

  /// Ranks that share cores, directly or by way of others, in their order; `held` are the ids of each one's cores.
  private static func groups(_ held: [Set<Int>]) -> [[Int]] {
    var groups: [(cores: Set<Int>, ranks: [Int])] = []
    for (rank, cores) in held.enumerated() {
      var merged = (cores: cores, ranks: [rank])
      for group in groups where !group.cores.isDisjoint(with: cores) {
        merged.cores.formUnion(group.cores)
        merged.ranks += group.ranks
      }
      groups.removeAll { !$0.cores.isDisjoint(with: cores) }
      groups.append(merged)
    }
    return groups.map { $0.ranks.sorted() }.sorted { $0[0] < $1[0] }
  }

  /// Cores, ordered by domain and no fewer than ranks, in a run for each rank.
  ///
  /// Ranks that are a multiple of the domains, or a divisor, get parts of one domain, or whole ones, unless domains differ so
  /// much that a rank would have less than three quarters of its share: all wait for the slowest. Otherwise the runs are of
  /// about the same length.
  private static func deal(_ cores: [HeldCore], to ranks: Int) -> [[HeldCore]] {
    func split(_ cores: [HeldCore], _ parts: Int) -> [[HeldCore]] {
      (0..<parts).map { Array(cores[$0 * cores.count / parts..<($0 + 1) * cores.count / parts]) }
    }
    let domains = domains(of: cores).map { id in cores.filter { $0.place.domain == id } }
    var byDomain: [[HeldCore]] = []
    if ranks.isMultiple(of: domains.count) {
      byDomain = domains.flatMap { split($0, ranks / domains.count) }
    } else if domains.count.isMultiple(of: ranks) {
      let each = domains.count / ranks
      byDomain = (0..<ranks).map { Array(domains[$0 * each..<($0 + 1) * each].joined()) }
    }
    let fewest = byDomain.map(\.count).min() ?? 0
    return fewest > 0 && 4 * fewest >= 3 * (cores.count / ranks) ? byDomain : split(cores, ranks)
  }

  /// Threads for ranks whose masks differ and yet have cores in common: of a core that k ranks hold, each counts a k-th.
  private static func share(_ held: [[HeldCore]], among group: [Int], _ result: inout [RankPlacement]) {
    var holders: [Int: Int] = [:]
    var cpuHolders: [Int: Int] = [:]
    for core in group.flatMap({ held[$0] }) {
      holders[core.place.core, default: 0] += 1
      for cpu in core.cpus.numbers { cpuHolders[cpu, default: 0] += 1 }
    }
    // Not one CPU is shared: it is the cores' hyper-threads that were given to different ranks.
    let areSiblings = cpuHolders.values.allSatisfy { $0 == 1 }
    for rank in group {
      // What is shared alike is added up before it is divided, so that three thirds are one.
      let counts = Dictionary(grouping: held[rank]) { holders[$0.place.core] ?? 1 }.mapValues(\.count)
      let part = counts.sorted { $0.key < $1.key }.reduce(0.0) { $0 + Double($1.value) / Double($1.key) }
      result[rank].threads = max(1, Int(part + 1e-9))
      let shared = held[rank].count - (counts[1] ?? 0)
      guard shared > 0 else { continue }
      result[rank].remark =
        "Of this rank's \(counted(held[rank].count, "core")) other ranks have \(shared), too"
        + (areSiblings ? ", by their other hyper-threads" : "")
        + ": it has \(counted(result[rank].threads, "thread"))."
    }
  }

  /// Fewer threads where all together are more than the quota rounded up.
  private static func limit(_ result: inout [RankPlacement], to quota: Double) {
    let ranks = result.count
    let allowed = Int(max(0, min(quota.rounded(.up), 1e6)))
    guard ranks > 0, result.reduce(0, { $0 + $1.threads }) > allowed else { return }
    for rank in result.indices {
      let part = (rank + 1) * allowed / ranks - rank * allowed / ranks
      result[rank].threads = max(1, min(result[rank].threads, part))
      guard ranks > 1 else { continue }
      let remark =
        "The \(ranks) ranks of this machine share \(fixed(quota, 1)) cores' worth of time, which is all that a control "
        + "group allows."
      result[rank].remark = result[rank].remark.map { $0 + " " + remark } ?? remark
    }
  }
}
