import Core
import Kernels

/// How an update would go on other numbers of cores: what of it one thread does alone, and what its parallel loops are cut into.
/// `Scaling.md` says what is measured and what is assumed.
public struct Scaling: Sendable, Codable, Equatable {
  /// An update on so many cores.
  public struct Prediction: Sendable, Codable, Equatable {
    public var cores: Int
    public var seconds: Double
    /// The seconds on one core, over those on so many times as many.
    public var efficiency: Double
    /// What the seconds consist of: work of one thread, work of all loops until their last piece is done, and what it takes to
    /// start and end them.
    public var serialSeconds: Double
    public var loopSeconds: Double
    public var synchronizationSeconds: Double
  }

  /// Of an update: what an operation, or the rest, takes outside of parallel loops, and in those.
  public struct Operation: Sendable, Codable, Equatable {
    /// A `ProfiledOperation`, or "rest".
    public var operation: String
    public var serialSeconds: Double
    /// Loops, and how many of them one thread does alone.
    public var loops: Double
    public var serialLoops: Double
    /// As the caller sees them, of all threads together, and of each loop's longest piece.
    public var loopSeconds: Double
    public var busySeconds: Double
    public var longestSeconds: Double
    /// What the operation takes, with its loops' starts and ends, on each of `predictions`' cores.
    public var predictedSeconds: [Double]
  }

  /// Loops of one operation with as many pieces; from 64 on, up to twice as many. Of an update.
  public struct Loops: Sendable, Codable, Equatable {
    public var operation: String
    public var pieces: Int
    public var loops: Double
    public var seconds: Double
    public var busySeconds: Double
    public var longestSeconds: Double
    public var predictedSeconds: [Double]
  }

  /// Updates that were recorded.
  public var updates: Int
  /// Of an update: wall time, CPU time of one thread outside of parallel loops, and wall time of loops that one thread did
  /// alone.
  public var seconds: Double
  public var serialSeconds: Double
  public var serialLoopSeconds: Double
  /// Parallel loops an update, and how many of them had to wake threads.
  public var loops: Double
  public var wakes: Double
  public var loopCost: LoopCost
  public var predictions: [Prediction]
  /// What is slowest on the most cores first.
  public var operations: [Operation]
  public var loopKinds: [Loops]
}

extension Scaling {
  /// nil where no update was recorded.
  init?(_ record: UpdateRecorder, cost: LoopCost) {
    guard record.count > 0 else { return nil }
    let count = Double(record.count)
    let all = record.loops.times.values.reduce(into: LoopTimes()) { $0 += $1 }
    let serial = record.serialSeconds / count
    updates = record.count
    seconds = record.seconds / count
    serialSeconds = serial
    serialLoopSeconds = all.serialSeconds / count
    loops = Double(all.loops) / count
    wakes = Double(record.loops.wakes) / count
    loopCost = cost
    func synchronization(_ times: LoopTimes, _ place: Int) -> Double {
      Double(times.sharedLoops[place]) / count * cost.seconds(threads: LoopRecorder.threads[place])
    }
    let wakeSeconds = Double(record.loops.wakes) / count * cost.wakeSeconds
    var predictions = LoopRecorder.threads.enumerated().map { place, cores in
      let loops = all.predictedSeconds[place] / count
      let starts = synchronization(all, place) + (cores > 1 ? wakeSeconds : 0)
      return Prediction(
        cores: cores, seconds: serial + loops + starts, efficiency: 1, serialSeconds: serial, loopSeconds: loops,
        synchronizationSeconds: starts)
    }
    let alone = predictions[0].seconds
    for place in predictions.indices {
      predictions[place].efficiency =
        alone / max(predictions[place].seconds * Double(predictions[place].cores), 1e-12)
    }
    self.predictions = predictions

    var byOperation: [String: LoopTimes] = [:]
    loopKinds = record.loops.times.map { key, times in
      let name = UpdateRecorder.operation(key)?.rawValue ?? "rest"
      byOperation[name, default: LoopTimes()] += times
      return Loops(
        operation: name, pieces: key.pieces, loops: Double(times.loops) / count, seconds: times.seconds / count,
        busySeconds: times.busySeconds / count, longestSeconds: times.longestSeconds / count,
        predictedSeconds: LoopRecorder.threads.indices.map {
          times.predictedSeconds[$0] / count + synchronization(times, $0)
        })
    }
    var times = Dictionary(uniqueKeysWithValues: record.operations.map { ($0.key.rawValue, $0.value) })
    times["rest"] = max(0, record.serialSeconds - record.operations.values.reduce(0, +))
    operations = times.map { name, serialSeconds in
      let times = byOperation[name] ?? LoopTimes()
      let serial = serialSeconds / count
      return Operation(
        operation: name, serialSeconds: serial, loops: Double(times.loops) / count,
        serialLoops: Double(times.serialLoops) / count, loopSeconds: times.seconds / count,
        busySeconds: times.busySeconds / count, longestSeconds: times.longestSeconds / count,
        predictedSeconds: LoopRecorder.threads.indices.map {
          serial + times.predictedSeconds[$0] / count + synchronization(times, $0)
        })
    }
    let last = LoopRecorder.threads.count - 1
    operations.sort { ($1.predictedSeconds[last], $0.operation) < ($0.predictedSeconds[last], $1.operation) }
    loopKinds.sort {
      ($1.predictedSeconds[last], $0.operation, $0.pieces) < ($0.predictedSeconds[last], $1.operation, $1.pieces)
    }
  }
}
