import Core

extension Attention {
  /// What the backward pass of each of `tasks` heads, or shares of one, is cut into for so many threads: runs that are computed
  /// in order, the jobs in any order, as no two write to the same place. The costliest ones come first.
  ///
  /// With enough heads all runs are one job. Else a run is a job of its own, and keys that several runs see get their gradients
  /// from jobs of their own, which go through those runs in order and compute their weights once more: each element is summed
  /// in the same order, and the bits are the same.
  func backwardJobs(_ runs: [AttentionRun], tasks: Int, threads: Int) -> [[AttentionRun]] {
    let together = runs.reduce(0) { $0 + $1.work() }
    let whole = Double((tasks + threads - 1) / threads) * together
    // Nothing is gained where the heads are shared out evenly.
    guard threads > tasks || whole * Double(threads) > 1.25 * together * Double(tasks) else { return [runs] }
    let some = partRows(runs, heads: tasks, threads: threads)
    let jobs = [runs.flatMap { $0.cut(some) }, runs].map { separated($0) }
    func seconds(_ jobs: [[AttentionRun]]) -> Double {
      makespan(
        jobs.flatMap { job in [Double](repeating: job.reduce(0) { $0 + $1.work() }, count: tasks) }, workers: threads)
    }
    guard let best = jobs.min(by: { seconds($0) < seconds($1) }), seconds(best) < 0.9 * whole else { return [runs] }
    return best
  }

  /// A job for each run, and for each tile of keys that several runs see.
  private func separated(_ runs: [AttentionRun]) -> [[AttentionRun]] {
    let groups = KeyGroup.groups(of: runs)
    var own = runs
    var jobs: [[AttentionRun]] = []
    for group in groups where group.members.count > 1 {
      for member in group.members { own[member.run].spans[member.span].gradients = .queries }
      jobs += keyJobs(group, runs)
    }
    jobs += own.map { [$0] }
    func work(_ job: [AttentionRun]) -> Double { job.reduce(0) { $0 + $1.work() } }
    return jobs.enumerated().sorted {
      (work($1.element), $0.offset) < (work($0.element), $1.offset)
    }.map(\.element)
  }

  private func keyJobs(_ group: KeyGroup, _ runs: [AttentionRun]) -> [[AttentionRun]] {
    let isAligned = group.members.allSatisfy { runs[$0.run].spans[$0.span].firstRow == group.rows.lowerBound }
    let tile = isAligned ? AttentionRun.tile : group.rows.count
    return stride(from: 0, to: group.rows.count, by: tile).map { first in
      var job: [AttentionRun] = []
      for member in group.members {
        var span = runs[member.run].spans[member.span]
        if isAligned {
          guard first < span.count else { continue }
          span = span.part(first..<min(first + tile, span.count))
        }
        span.gradients = .keys
        if job.last?.firstRow == runs[member.run].firstRow, job.last?.queryRow == runs[member.run].queryRow {
          job[job.count - 1].spans.append(span)
        } else {
          var run = runs[member.run]
          run.spans = [span]
          job.append(run)
        }
      }
      return job
    }
  }
}

/// Spans whose keys overlap, in the order of the runs.
private struct KeyGroup {
  var rows: Range<Int>
  var members: [(run: Int, span: Int)]

  static func groups(of runs: [AttentionRun]) -> [KeyGroup] {
    var spans: [(rows: Range<Int>, run: Int, span: Int)] = []
    for (run, value) in runs.enumerated() {
      for (span, keys) in value.spans.enumerated() where keys.count > 0 { spans.append((keys.rows, run, span)) }
    }
    spans.sort { ($0.rows.lowerBound, $0.run, $0.span) < ($1.rows.lowerBound, $1.run, $1.span) }
    var groups: [KeyGroup] = []
    for (rows, run, span) in spans {
      if let last = groups.last, rows.lowerBound < last.rows.upperBound {
        let upper = max(last.rows.upperBound, rows.upperBound)
        groups[groups.count - 1].rows = last.rows.lowerBound..<upper
        groups[groups.count - 1].members.append((run, span))
      } else {
        groups.append(KeyGroup(rows: rows, members: [(run, span)]))
      }
    }
    for index in groups.indices { groups[index].members.sort { ($0.run, $0.span) < ($1.run, $1.span) } }
    return groups
  }
}
