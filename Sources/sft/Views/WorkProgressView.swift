import Core
import Pipeline

/// How work on the bytes of a model is shown: what takes less than a moment is not.
extension Progress {
  /// A bar with the rate and what is left; off a terminal a line for each tenth.
  func show(_ work: WorkProgress) {
    guard work.seconds > 0.5 || work.total > 1 << 30 else { return }
    let (done, total) = (work.done / 1_000_000, max(1, work.total / 1_000_000))
    let rate = work.done > 0 ? ", \(grouped(Int(work.rate / 1e6))) MB/s, \(clockTime(work.left)) left" : ""
    update(
      done, of: total, label: work.name + " ", "MB" + rate, isMilestone: isNewTenth(10 * done / total, of: work.name))
  }

  /// Shows work as `show` does; throws `interrupted` where a first Ctrl-C has asked for an orderly stop.
  func showOrStop(_ work: WorkProgress) throws {
    show(work)
    guard Interrupt.requested else { return }
    close()
    throw SFTError(
      .interrupted, "stopped while \(work.name); what is done is kept", advice: "Go on with the same command")
  }
}
