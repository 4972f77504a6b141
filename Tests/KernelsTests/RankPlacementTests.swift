import Kernels
import Testing

/// Which cores the ranks of a host get, by what the launcher gave them.
@Suite struct RankPlacementTests {
  typealias Machine = Result<CPUTopology, any Error>
  private static let twoSockets = Machine { try SystemTree.twoSockets.topology() }
  private static let fourDomains = Machine { try SystemTree.fourDomains.topology() }

  private func place(
    _ masks: [String], _ machine: Machine = Self.twoSockets, quota: Double? = nil
  ) throws -> [RankPlacement] {
    RankPlacement.place(masks: masks.map(cpus), on: try machine.get(), quota: quota)
  }

  /// Ranks that the launcher bound to nothing.
  private func unbound(
    _ ranks: Int, _ machine: Machine = Self.twoSockets, mask: String = "0-15", quota: Double? = nil
  ) throws -> [RankPlacement] {
    try place(Array(repeating: mask, count: ranks), machine, quota: quota)
  }

  private func lists(_ placements: [RankPlacement]) -> [String] {
    placements.map { $0.cpus?.description ?? "as it is" }
  }

  @Test func `one rank keeps what it has, with a thread for each physical core`() throws {
    #expect(try unbound(1) == [RankPlacement(threads: 8, domains: [0, 1])])
    #expect(try unbound(1, mask: "0-3,8") == [RankPlacement(threads: 4, domains: [0])])
    #expect(try place([""]) == [RankPlacement(threads: 8, domains: [0, 1])])
    #expect(try place([]) == [])
  }

  @Test func `two ranks on two domains get one each`() throws {
    #expect(
      try unbound(2) == [
        RankPlacement(cpus: cpus("0-3,8-11"), threads: 4, domains: [0]),
        RankPlacement(cpus: cpus("4-7,12-15"), threads: 4, domains: [1]),
      ])
    #expect(try lists(place(["", "0-15"])) == ["0-3,8-11", "4-7,12-15"])
  }

  @Test func `four and eight ranks on two domains get parts of one, never two hyper-threads of a core`() throws {
    #expect(try lists(unbound(4)) == ["0-1,8-9", "2-3,10-11", "4-5,12-13", "6-7,14-15"])
    #expect(try unbound(4).map(\.domains) == [[0], [0], [1], [1]] && unbound(4).allSatisfy { $0.threads == 2 })
    #expect(try lists(unbound(8)) == ["0,8", "1,9", "2,10", "3,11", "4,12", "5,13", "6,14", "7,15"])
    #expect(try unbound(8).allSatisfy { $0.threads == 1 && $0.domains.count == 1 && $0.remark == nil })
  }

  @Test func `three ranks on two domains get runs of about the same length`() throws {
    let three = try unbound(3)
    #expect(lists(three) == ["0-1,8-9", "2-4,10-12", "5-7,13-15"])
    #expect(three.map(\.threads) == [2, 3, 3] && three.map(\.domains) == [[0], [0, 1], [1]])
  }

  @Test func `fewer ranks than domains get whole ones`() throws {
    #expect(try lists(unbound(2, Self.fourDomains)) == ["0-7", "8-15"])
    #expect(try unbound(2, Self.fourDomains).map(\.domains) == [[0, 1], [2, 3]])
    #expect(try lists(unbound(4, Self.fourDomains)) == ["0-3", "4-7", "8-11", "12-15"])
    #expect(try lists(unbound(8, Self.fourDomains)).prefix(3) == ["0-1", "2-3", "4-5"])
    #expect(try unbound(3, Self.fourDomains).map(\.threads) == [5, 5, 6])
  }

  @Test func `only what is in the mask is dealt out`() throws {
    // A step's cpuset: three cores of the first domain, of the last one hyper-thread, and three of the second.
    #expect(try lists(unbound(2, mask: "0-2,8-9,4-6,12-14")) == ["0-2,8-9", "4-6,12-14"])
    // Domains of five cores and of one would make the second rank five times slower.
    let uneven = try unbound(2, mask: "0-3,8-11,4,12")
    #expect(lists(uneven) == ["0-1,8-9", "2-4,10-12"] && uneven.map(\.domains) == [[0], [0, 1]])
    // A single domain of the two.
    #expect(try lists(unbound(2, mask: "4-7,12-15")) == ["4-5,12-13", "6-7,14-15"])
  }

  @Test func `what the launcher bound is respected`() throws {
    #expect(
      try place(["0-3,8-11", "4-7,12-15"]) == [
        RankPlacement(threads: 4, domains: [0]), RankPlacement(threads: 4, domains: [1]),
      ])
    #expect(try place(["0-1", "4,12", "6-7,14-15"]).map(\.threads) == [2, 1, 2])
    #expect(try place(["0-1", "4,12", "6-7,14-15"]).allSatisfy { $0.cpus == nil && $0.remark == nil })
  }

  @Test func `ranks that were bound to one domain share it out`() throws {
    // Two ranks to a domain, dealt round.
    let ranks = try place(["0-3,8-11", "4-7,12-15", "0-3,8-11", "4-7,12-15"])
    #expect(lists(ranks) == ["0-1,8-9", "4-5,12-13", "2-3,10-11", "6-7,14-15"])
    #expect(ranks.map(\.domains) == [[0], [1], [0], [1]] && ranks.allSatisfy { $0.remark == nil })
    // One alone in its domain, two in the other.
    let three = try place(["0-3,8-11", "4-7,12-15", "0-3,8-11"])
    #expect(lists(three) == ["0-1,8-9", "as it is", "2-3,10-11"] && three.map(\.threads) == [2, 4, 2])
  }

  @Test func `ranks bound to one core each are told what the machine has`() throws {
    let ranks = try place(["0,8", "1,9"])
    #expect(ranks.map(\.threads) == [1, 1] && ranks.allSatisfy { $0.cpus == nil })
    for rank in ranks {
      #expect(
        rank.remark == "Each rank of this machine is bound to one of its 8 cores: the launcher can give a rank more, "
          + "such as those of a memory domain.")
    }
    #expect(try place((0..<8).map { "\($0),\($0 + 8)" }).allSatisfy { $0.remark == nil })
  }

  @Test func `masks that overlap in part are kept, and the cores' shares counted`() throws {
    let ranks = try place(["0-3", "2-5", "6-7"])
    #expect(ranks.allSatisfy { $0.cpus == nil } && ranks.map(\.threads) == [3, 3, 2])
    #expect(ranks[0].remark == "Of this rank's 4 cores other ranks have 2, too: it has 3 threads.")
    #expect(ranks[2].remark == nil)
    // A chain; three thirds of a core each are one, and nobody has less than a thread.
    #expect(try place(["0-2", "0-3", "0-2"]).map(\.threads) == [1, 2, 1])
    #expect(try place(["0", "0-1", "0,8"]).map(\.threads) == [1, 1, 1])
  }

  @Test func `hyper-threads of one core in different ranks are a core that they share`() throws {
    let ranks = try place(["0-3", "8-11"])
    #expect(ranks.map(\.threads) == [2, 2] && ranks.allSatisfy { $0.cpus == nil })
    #expect(
      ranks[0].remark
        == "Of this rank's 4 cores other ranks have 4, too, by their other hyper-threads: it has 2 threads.")
  }

  @Test func `more ranks than cores have a thread each`() throws {
    let ranks = try unbound(9)
    #expect(ranks.allSatisfy { $0.cpus == nil && $0.threads == 1 && $0.domains == [0, 1] })
    #expect(ranks[8].remark == "9 ranks of this machine share 8 cores: they will wait for each other.")
    #expect(try unbound(3, mask: "2,10").map(\.threads) == [1, 1, 1])
  }

  @Test func `the quota is shared out`() throws {
    #expect(try unbound(1, quota: 2.5) == [RankPlacement(threads: 3, domains: [0, 1])])
    let ranks = try unbound(2, quota: 5)
    #expect(lists(ranks) == ["0-3,8-11", "4-7,12-15"] && ranks.map(\.threads) == [2, 3])
    #expect(
      ranks[0].remark
        == "The 2 ranks of this machine share 5.0 cores' worth of time, which is all that a control group allows.")
    #expect(try unbound(2, quota: 8).allSatisfy { $0.threads == 4 && $0.remark == nil })
    #expect(try unbound(4, quota: 0.5).allSatisfy { $0.threads == 1 })
    #expect(try unbound(9, quota: 2)[0].remark?.contains("each other. The 9 ranks") == true)
  }

  /// Every number of ranks on every tree and a few masks.
  @Test func `no core is given twice, and none is left`() throws {
    for tree in [SystemTree.twoSockets, .fourDomains, SystemTree(sockets: 3, cores: 5, threads: 2, nodes: 3)] {
      let topology = try tree.topology()
      for mask in [CPUSet(topology.cpus.map(\.number)), cpus("0-6,8-9"), cpus("3"), cpus("2-4,12-14")] {
        let cores = topology.coreCount(in: mask)
        for count in 1...cores {
          let ranks = RankPlacement.place(masks: Array(repeating: mask, count: count), on: topology)
          #expect(ranks.reduce(0) { $0 + $1.threads } == cores && ranks.allSatisfy { $0.threads >= 1 })
          let given = ranks.flatMap { ($0.cpus ?? mask).numbers }
          #expect(given.sorted() == mask.numbers)
          for rank in ranks { #expect(topology.coreCount(in: rank.cpus ?? mask) == rank.threads) }
        }
      }
    }
  }
}
