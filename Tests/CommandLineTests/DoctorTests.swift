import Foundation
import Pipeline
import Testing
import sft

/// What `doctor` shows of machines that the tests do not run on.
@Suite struct DoctorTests {
  /// A report with so many CPUs online and allowed, and these memory domains.
  private static func report(
    cores: Int, affinity: Int, physical: Int, usable: Int, quota: Double? = nil, domains: [String]
  ) throws -> DoctorReport {
    let limit = quota.map { #""cpu_quota": \#($0),"# } ?? ""
    let text = """
      {"cores": \(cores), "affinity": \(affinity), "physical_cores": \(physical), "affinity_physical_cores": \(usable),
       \(limit) "threads": \(usable), "sgemm_gflops": 1234.5,
       "linear_algebra": {"core_type": "SkylakeX", "threads": \(usable), "kernels": "AVX-512"},
       "memory_gigabytes_per_second": 10.04, "memory_gigabytes_per_second_all_threads": 99, "memory_read_bytes": 1000000000,
       "memory_total_bytes": 128000000000, "memory_available_bytes": 64000000000, "workspace": ".sft",
       "memory_domains": [\(domains.joined(separator: ","))], "remarks": ["One.", "Two."]}
      """
    return try reportDecoder().decode(DoctorReport.self, from: Data(text.utf8))
  }

  private static func domain(
    _ id: Int, _ cpus: String, cores: Int, usable: Int, bytes: Int? = 64_000_000_000
  ) -> String {
    let memory = bytes.map { #", "memory_bytes": \#($0)"# } ?? ""
    return #"{"id": \#(id), "cpus": "\#(cpus)", "cores": \#(cores), "usable_cores": \#(usable)\#(memory)}"#
  }

  @Test func `several memory domains have a line each, and a command for them`() throws {
    let report = try Self.report(
      cores: 64, affinity: 64, physical: 32, usable: 32,
      domains: [
        Self.domain(0, "0-15,32-47", cores: 16, usable: 16),
        Self.domain(10, "16-31,48-63", cores: 16, usable: 16, bytes: nil),
      ])
    #expect(
      doctorLines(report) == [
        "threads     32, on 32 of 32 cores (64 of 64 hyper-threads)", "kernels     AVX-512",
        "OpenBLAS    SkylakeX kernels, 1234 GFLOP/s in single precision",
        "memory      64.0 GB free of 128.0 GB, read at 10.0 GB/s by one thread, 99.0 GB/s by all (over 1.0 GB)",
        "domains     2 memory domains", "domain 0    16 cores, 64.0 GB, CPUs 0-15,32-47",
        "domain 10   16 cores, CPUs 16-31,48-63", "workspace   .sft", "note        One.", "note        Two.",
      ])
    #expect(domainRemark(report)?.hasSuffix("`mpirun -n 2 --map-by numa --bind-to numa sft train …`.") == true)
  }

  @Test func `what the process may not use is said, and not counted`() throws {
    let domains = [
      Self.domain(0, "0-3", cores: 4, usable: 3), Self.domain(1, "4-7", cores: 4, usable: 0),
      Self.domain(2, "8-11", cores: 4, usable: 1),
    ]
    let report = try Self.report(cores: 12, affinity: 4, physical: 12, usable: 4, quota: 2.5, domains: domains)
    let lines = doctorLines(report)
    #expect(lines[0] == "threads     4, on 4 of 12 cores, CPU quota 2.5 cores")
    #expect(
      lines[5...7] == [
        "domain 0    4 cores, 64.0 GB, CPUs 0-3; this process may use 3 cores",
        "domain 1    4 cores, 64.0 GB, CPUs 4-7; this process may use 0 cores",
        "domain 2    4 cores, 64.0 GB, CPUs 8-11; this process may use 1 core",
      ])
    #expect(domainRemark(report)?.contains("mpirun -n 2 ") == true)
    // There is no time for a process in each.
    let slow = try Self.report(cores: 12, affinity: 4, physical: 12, usable: 4, quota: 1.5, domains: domains)
    #expect(domainRemark(slow) == nil)
  }

  @Test func `one memory domain is a word`() throws {
    let report = try Self.report(
      cores: 2, affinity: 2, physical: 2, usable: 2, domains: [Self.domain(0, "0-1", cores: 2, usable: 2)])
    #expect(doctorLines(report)[0] == "threads     2, on 2 of 2 cores" && domainRemark(report) == nil)
    #expect(doctorLines(report)[4] == "domains     1 memory domain" && doctorLines(report)[5].hasPrefix("workspace"))
  }
}
