import Core
import Kernels
import Synchronization
import Testing

/// Loops of other tests, on other threads, are nobody's here; but only one recorder is on at a time.
@Suite(.serialized) struct LoopTests {
  @Test func `a makespan is that of workers who take the next piece as soon as they are free`() {
    #expect(makespan([], workers: 4) == 0)
    #expect(makespan([3, 1, 2], workers: 1) == 6)
    #expect(makespan([3, 1, 2], workers: 2) == 3)
    #expect(makespan([3, 1, 2], workers: 8) == 3)
    // The last piece is begun when the others are done.
    #expect(makespan([1, 1, 1, 1, 4], workers: 4) == 5)
    #expect(makespan([4, 1, 1, 1, 1], workers: 4) == 4)
    for workers in 2...9 {
      #expect(makespan([Double](repeating: 1, count: 64), workers: workers) == Double((64 + workers - 1) / workers))
    }
  }

  @Test func `ranges are as many as threads, or three times as many, but not shorter than the grain`() {
    #expect(LoopCut.rangeSize(100, grain: 10, threads: 4) == 25)
    #expect(LoopCut.rangeSize(100, grain: 10, threads: 64) == 10)
    #expect(LoopCut.rangeSize(120, grain: 10, threads: 2) == 60)
    #expect(LoopCut.rangeSize(119, grain: 10, threads: 4) == 30)
    #expect(LoopCut.rangeSize(120, grain: 10, threads: 4) == 10)
    #expect(LoopCut.rangeSize(5, grain: 10, threads: 64) == 5)
    #expect(LoopCut.rangeSize(0, grain: 10, threads: 64) == 1)
  }

  @Test func `a loop over ranges is predicted from its grain`() {
    // Timed on two threads: 100 elements of 1 s.
    let loop = TimedLoop(threads: 2, cut: .ranges(100, grain: 10), pieces: [50, 50])
    #expect(abs(loop.seconds(threads: 1) - 100) < 1e-9)
    #expect(loop.seconds(threads: 2) == 50)
    #expect(abs(loop.seconds(threads: 4) - 25) < 1e-9)
    #expect(abs(loop.seconds(threads: 8) - 13) < 1e-9)
    // No more than ten ranges.
    #expect(abs(loop.seconds(threads: 64) - 10) < 1e-9)
    #expect(loop.isShared(threads: 2) && !loop.isShared(threads: 1))
  }

  @Test func `fixed pieces and serial work stay what they are`() {
    let fixed = TimedLoop(threads: 2, cut: .fixed, pieces: [1, 1, 1])
    #expect([1, 2, 3, 64].map { fixed.seconds(threads: $0) } == [3, 2, 1, 1])
    let serial = TimedLoop(threads: 2, cut: .serial, pieces: [1, 1, 1])
    #expect([1, 2, 64].map { serial.seconds(threads: $0) } == [3, 3, 3])
    #expect(!serial.isShared(threads: 8))
  }

  @Test func `setups are counted once a piece`() {
    // Eight rows in as many pieces as threads, each of which has one setup.
    let cut = LoopCut { threads in
      (0..<threads).map { _ in LoopPiece(share: 1 / Double(threads), setups: 1) }
    }
    // Two setups of 1 s, and work of 8 s.
    let loop = TimedLoop(threads: 2, cut: cut, pieces: [5, 5], setupSeconds: 2)
    #expect(abs(loop.seconds(threads: 1) - 9) < 1e-9)
    #expect(loop.seconds(threads: 2) == 5)
    #expect(abs(loop.seconds(threads: 8) - 2) < 1e-9)
  }

  @Test func `a recorder sees the loops of its own thread`() {
    let recorder = LoopRecorder()
    func loops() -> Int { recorder.times.values.reduce(0) { $0 + $1.loops } }
    parallelFor(4, threads: 2) { _ in }
    #expect(loops() == 0)
    recorder.start()
    recorder.label = 7
    let done = Atomic<Int>(0)
    parallelFor(40, threads: 2) { _ in
      // Inside another: part of it.
      parallelFor(3, threads: 2) { _ in done.add(1, ordering: .relaxed) }
    }
    parallelFor(200, threads: 2, cut: .serial) { index, worker in LoopRecorder.addSetup(1e-9, worker: worker) }
    parallelFor(1, threads: 2) { _ in }
    parallelFor(0, threads: 2) { _ in }
    recorder.stop()
    parallelFor(4, threads: 2) { _ in }
    #expect(done.load(ordering: .relaxed) == 120)
    #expect(recorder.times.keys.map(\.label).allSatisfy { $0 == 7 })
    #expect(Set(recorder.times.keys.map(\.pieces)) == [40, 128, 1])
    #expect(loops() == 3)
    #expect(recorder.times.first { $0.key.pieces == 1 }?.value.serialLoops == 1)
    recorder.clear()
    #expect(loops() == 0)
  }

  @Test func `busy seconds are those of work`() {
    let recorder = LoopRecorder()
    recorder.start()
    defer { recorder.stop() }
    let sum = Atomic<Int>(0)
    parallelFor(8, threads: 2) { index in
      var state = UInt64(index)
      for _ in 0..<2_000_000 { state = state &* 6_364_136_223_846_793_005 &+ 1 }
      sum.add(Int(state & 1), ordering: .relaxed)
    }
    let times = recorder.times.first { $0.key.pieces == 8 }?.value
    let (busy, longest) = (times?.busySeconds ?? 0, times?.longestSeconds ?? 0)
    #expect(busy > 1e-3 && longest > busy / 9 && longest < busy / 2)
    // With one core it takes what is busy, and with eight the longest piece.
    #expect(times.map { abs($0.predictedSeconds[0] - busy) < 1e-9 } == true)
    #expect(times.map { abs($0.predictedSeconds[3] - longest) < 1e-9 } == true)
  }

  /// More threads than cores are let in, and come and go as they get a core.
  @Test(arguments: [2, 3, 8, 40]) func `every index is done once, whoever comes`(_ threads: Int) {
    limitThreadsAtWork(to: threads)
    defer { limitThreadsAtWork(to: Compute.availableThreads) }
    for count in [1, 2, 7, 64, 1000] {
      for _ in 0..<200 {
        let sum = Atomic<Int>(0)
        parallelFor(count, threads: threads) { index, worker in
          sum.add(worker < threads ? index + 1 : 1_000_000, ordering: .relaxed)
        }
        #expect(sum.load(ordering: .relaxed) == count * (count + 1) / 2)
      }
    }
  }

  @Test func `the cost of a loop grows with its threads`() {
    let cost = LoopCost(empty: [], oversubscribed: [], pairSeconds: 2e-6, wakeSeconds: 0, contendedSeconds: 1e-7)
    #expect(cost.seconds(threads: 1) == 0)
    #expect(cost.seconds(threads: 2) == 2e-6)
    #expect(abs(cost.seconds(threads: 32) - 11e-6) < 1e-12)
  }
}

/// Memory that grows, also where the kernel was asked for large pages of some of it.
@Suite struct FloatBufferTests {
  @Test(arguments: [false, true]) func `Memory grows, and what it grows by is zero`(_ usesLargePages: Bool) {
    let buffer = FloatBuffer()
    if usesLargePages { buffer.useLargePages() }
    var count = 1000
    while count < 1 << 23 {
      let before = buffer.capacity
      let values = buffer.ensure(count)
      #expect(buffer.capacity >= count && buffer.requested == count)
      let last = buffer.capacity - 1
      #expect(before > last || values[last] == 0)
      for place in [0, count / 2, count - 1, last] { values[place] = Float(place) }
      #expect(buffer.ensure(count / 2) == values)
      count = count * 3 + 17
    }
  }
}
