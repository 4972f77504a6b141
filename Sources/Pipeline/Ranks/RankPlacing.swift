import Distributing
import Kernels

/// Where the ranks of this host compute.
enum RankPlacing {
  /// Room for a list of CPUs.
  private static let listBytes = 4096

  /// Binds this process to the CPUs that are its by what the launcher gave all ranks of this host, and limits its threads to their
  /// cores. Gives what the user may want to know. Called before anything has asked how many threads there may be.
  static func place(_ group: RankGroup) throws -> [String] {
    var own = Array(CPUSet.allowed().description.utf8.prefix(listBytes - 1))
    own += [UInt8](repeating: 0, count: listBytes - own.count)
    let lists = try group.exchange([Int](repeating: listBytes, count: group.count), own)
    let neighbours = (0..<group.count).filter { group.hosts[$0] == group.hosts[group.rank] }
    let masks = neighbours.map {
      CPUSet(list: String(decoding: lists[$0].prefix { $0 != 0 }, as: UTF8.self)) ?? CPUSet()
    }
    let placements = RankPlacement.place(masks: masks, on: .current, quota: CPUAllowance.readQuota(root: ""))
    guard let place = neighbours.firstIndex(of: group.rank), placements.indices.contains(place) else { return [] }
    try placements[place].cpus?.restrictProcess()
    Compute.limitThreads(placements[place].threads)
    return placements.compactMap(\.remark).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}
