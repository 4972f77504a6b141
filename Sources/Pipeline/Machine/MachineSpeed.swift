import Core
import Glibc
import Kernels

/// How fast this machine is, measured in a second or so.
enum MachineSpeed {
  /// GFLOP/s of a single-precision matrix product of 1,536³ by OpenBLAS, the best of a few, on so many threads.
  static func multiply(threads: Int) -> Double {
    let n = 1536
    let (a, b, c) = (FloatBuffer(n * n), FloatBuffer(n * n), FloatBuffer(n * n))
    for i in 0..<n * n {
      a.pointer[i] = Float(i % 7) - 3
      b.pointer[i] = Float(i % 5) - 2
    }
    let best =
      (0..<6).map { _ in
        seconds {
          LinearAlgebra.multiply(
            m: n, n: n, k: n, a: a.pointer, lda: n, b: b.pointer, ldb: n, c: c.pointer, ldc: n,
            threads: threads)
        }
      }.min() ?? 1
    return 2 * Double(n * n * n) / best / 1e9
  }

  /// GB/s of reading a buffer from start to end, the best of a few: by one thread, and shared out among all. The buffer is
  /// larger than any cache, 1.25 GB, where `available` bytes allow.
  static func reading(threads: Int, available: Int) -> (oneThread: Double, allThreads: Double, bytes: Int) {
    let count = min(5 << 26, max(1 << 24, available / 16)) / 1024 * 1024
    let buffer = FloatBuffer(count)
    nonisolated(unsafe) let memory = buffer.pointer
    let pieces = 64
    // Written first: memory that nobody has written to is one page of zeros.
    parallelFor(pieces, threads: threads) { piece in
      for i in piece * count / pieces..<(piece + 1) * count / pieces { memory[i] = Float(i & 1023) }
    }
    func rate(_ threads: Int) -> Double {
      let best = (0..<3).map { _ in
        seconds {
          parallelFor(pieces, threads: threads) { piece in
            consume(memory + piece * count / pieces, (piece + 1) * count / pieces - piece * count / pieces)
          }
        }
      }.min()
      return Double(count * MemoryLayout<Float>.stride) / max(best ?? 1, 1e-9) / 1e9
    }
    return (rate(1), threads > 1 ? rate(threads) : rate(1), count * MemoryLayout<Float>.stride)
  }

  /// Reads, in four streams of 64 bytes; the result decides something, so that the reading is not left out.
  private static func consume(_ values: MutableFloats, _ count: Int) {
    let words = UnsafeRawPointer(values).assumingMemoryBound(to: SIMD8<UInt64>.self)
    var sums = (SIMD8<UInt64>(), SIMD8<UInt64>(), SIMD8<UInt64>(), SIMD8<UInt64>())
    for i in stride(from: 0, to: count / 64 * 4, by: 4) {
      sums.0 ^= words[i]
      sums.1 ^= words[i + 1]
      sums.2 ^= words[i + 2]
      sums.3 ^= words[i + 3]
    }
    let all = sums.0 ^ sums.1 ^ sums.2 ^ sums.3
    if all[0] == 0x0123_4567_89ab_cdef { values[0] += 1 }
  }

  static func seconds(_ body: () -> Void) -> Double { ContinuousClock().measure(body) / .seconds(1) }

  /// Seconds that the process's threads have computed so far, in and outside of the kernel.
  static func processSeconds() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }
}
