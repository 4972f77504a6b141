import Glibc

/// The name of something unfinished: `BASE.tmp-PID-RANDOM`; or, for the instant in which a folder is being replaced on
/// a file system that cannot exchange two names, `BASE.old-PID-RANDOM` for what it held before. After a crash the name
/// still says whose it was and what is to be done with it.
public struct TemporaryName: Sendable, Equatable {
  public enum Role: String, Sendable { case unfinished = ".tmp-", replaced = ".old-" }

  /// The name that the finished thing has or would have had.
  public let base: String
  public let role: Role
  public let process: Int32

  /// A fresh name beside `path`, owned by this process.
  public static func make(beside path: String, _ role: Role = .unfinished) -> String {
    "\(path)\(role.rawValue)\(getpid())-\(UInt32.random(in: 0 ... .max))"
  }

  /// nil unless `name` (or path) has that form.
  public init?(_ name: String) {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 3, let process = Int32(parts[parts.count - 2]), process > 0,
      UInt32(parts[parts.count - 1]) != nil
    else { return nil }
    let head = parts.dropLast(2).joined(separator: "-") + "-"
    for role in [Role.unfinished, .replaced] where head.hasSuffix(role.rawValue) {
      base = String(head.dropLast(role.rawValue.count))
      self.role = role
      self.process = process
      return
    }
    return nil
  }

  /// The process that made it is gone. Only to be asked on the machine (and in the container) that made it.
  public var isAbandoned: Bool { kill(process, 0) != 0 && errno == ESRCH }
}
