import Core
import Glibc
import Kernels

/// How fast this machine is, measured in a second or so.
enum MachineSpeed {
  /// GFLOP/s of a single-precision matrix product of 1,536³ by OpenBLAS, the best of a few, on the threads that the last
  /// `Compute` was made with.
  static func multiply() -> Double {
    let n = 1536
    let (a, b, c) = (FloatBuffer(n * n), FloatBuffer(n * n), FloatBuffer(n * n))
    for i in 0..<n * n {
      a.pointer[i] = Float(i % 7) - 3
      b.pointer[i] = Float(i % 5) - 2
    }
    let best =
      (0..<6).map { _ in
        seconds {
          LinearAlgebra.multiply(m: n, n: n, k: n, a: a.pointer, lda: n, b: b.pointer, ldb: n, c: c.pointer, ldc: n)
        }
      }.min() ?? 1
    return 2 * Double(n * n * n) / best / 1e9
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
