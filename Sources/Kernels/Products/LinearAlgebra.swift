import CKernels
import COpenBLAS
import Core
import Glibc
import Synchronization

/// Float pointers. Kernels take pointers and sizes, allocate nothing and do no I/O.
public typealias Floats = UnsafePointer<Float>
public typealias MutableFloats = UnsafeMutablePointer<Float>

/// General matrix products by OpenBLAS.
public enum LinearAlgebra {
  private static let original = Mutex<String?>(nil)

  /// Chooses OpenBLAS's kernels once, before the first product.
  ///
  /// Old releases do not know newer CPUs and fall back to their oldest kernels, five times slower. A user's
  /// `OPENBLAS_CORETYPE` stands.
  private static let coreTypeIsChosen: Bool = {
    let current = String(cString: openblas_get_corename())
    let level = sft_cpu_level()
    guard getenv("OPENBLAS_CORETYPE") == nil, level >= 3 else { return false }
    guard !fits(current, level: level) else { return false }
    setenv("OPENBLAS_CORETYPE", level >= 4 ? "SkylakeX" : "Haswell", 1)
    guard sft_blas_reload() != 0 else { return false }
    original.withLock { $0 = current }
    return true
  }()

  private static let wide = ["SkylakeX", "Cooperlake", "SapphireRapids"]

  /// Whether OpenBLAS's kernels sum an element in the same order wherever it lies in a product.
  static let sumsAlikeAtEdges: Bool = {
    _ = coreTypeIsChosen
    return wide.contains(String(cString: openblas_get_corename()))
  }()

  /// Whether OpenBLAS's kernels of that name use what an x86-64 level offers.
  private static func fits(_ coreType: String, level: Int32) -> Bool {
    level < 3 || wide.contains(coreType) || (level == 3 && ["Haswell", "Zen", "Excavator"].contains(coreType))
  }

  /// Multiplications below which waking a second thread costs more than it brings.
  private static let threadingThreshold = 1 << 22
  /// The most that products were prepared for.
  private static let prepared = Atomic<Int>(0)

  /// Before the first product of so many threads. What a product then takes, it says itself.
  static func prepare(threads count: Int) {
    _ = coreTypeIsChosen
    if count > prepared.load(ordering: .relaxed) {
      let added = count - Int(openblas_get_num_threads())
      if added > 0 { requireBuffers(added) }
      prepared.store(count, ordering: .relaxed)
      openblas_set_num_threads(Int32(count))
    }
    _ = callersBufferIsTaken
  }

  /// Ends the process where there is no room for so many of the buffers that OpenBLAS takes: a thread's when that starts,
  /// the caller's with the first product. OpenBLAS itself asks again for ever.
  private static func requireBuffers(_ count: Int) {
    // Address space, of which it touches what it needs.
    let bytes = count * (129 << 20)
    let room = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let room, room != MAP_FAILED else { Shortage.ofMemory(bytes) }
    munmap(room, bytes)
  }

  /// y[columns, rows] = the transpose of x[rows, columns].
  public static func transpose(_ x: Floats, rows: Int, columns: Int, into y: MutableFloats, _ compute: Compute) {
    nonisolated(unsafe) let (x, y) = (x, y)
    compute.overRanges(columns, grain: 64) { range in
      sft_transpose(x + range.lowerBound, columns, rows, range.count, y + range.lowerBound * rows)
    }
  }

  /// By a product that is large enough to need it, before memory is short.
  private static let callersBufferIsTaken: Bool = {
    requireBuffers(1)
    let n = 128
    let (a, c) = (FloatBuffer(n * n), FloatBuffer(n * n))
    multiply(m: n, n: n, k: n, a: a.pointer, lda: n, b: a.pointer, ldb: n, c: c.pointer, ldc: n, threads: 1)
    return true
  }()

  /// A function of the shape and of what is asked for alone, so that results repeat.
  static func use(_ threads: Int, for multiplications: Int) {
    let count = multiplications < threadingThreshold ? 1 : Int32(max(1, threads))
    if openblas_get_num_threads() != count { openblas_set_num_threads(count) }
  }

  /// Whether OpenBLAS runs with kernels that leave this CPU's instructions unused.
  public static var isBelowTheCPU: Bool {
    !fits(String(cString: openblas_get_corename()), level: sft_cpu_level())
  }

  /// Of products with so many threads.
  public static func report(threads: Int) -> LinearAlgebraReport {
    let level = sft_cpu_level()
    return LinearAlgebraReport(
      coreType: String(cString: openblas_get_corename()), replacedCoreType: original.withLock { $0 },
      threads: threads,
      kernels: level >= 4 ? "AVX-512" : level == 3 ? "AVX2" : "portable")
  }

  /// C[m, n] = alpha · op(A) op(B) + beta · C, all row-major; op(A) is [m, k] and op(B) [k, n].
  /// `lda`, `ldb`, `ldc` are the row strides of A, B, C as stored. On `threads` threads where it is large enough.
  public static func multiply(
    m: Int, n: Int, k: Int, alpha: Float = 1, a: Floats, lda: Int, transposeA: Bool = false,
    b: Floats, ldb: Int, transposeB: Bool = false, beta: Float = 0, c: MutableFloats, ldc: Int, threads: Int
  ) {
    if m == 0 || n == 0 { return }
    use(threads, for: m * n * k)
    if m == 1, !transposeA {
      // One row: a matrix-vector product, bound by reading B once.
      cblas_sgemv(
        CblasRowMajor, transposeB ? CblasNoTrans : CblasTrans, Int32(transposeB ? n : k), Int32(transposeB ? k : n),
        alpha, b, Int32(ldb), a, 1, beta, c, 1)
      return
    }
    cblas_sgemm(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans, Int32(m), Int32(n),
      Int32(k), alpha, a, Int32(lda), b, Int32(ldb), beta, c, Int32(ldc))
  }

  /// C[m, n] = alpha · op(A) op(B) + beta · C, as `multiply`, written out and summed in double: the reference for tests.
  public static func multiplyPlain(
    m: Int, n: Int, k: Int, alpha: Float = 1, a: Floats, lda: Int, transposeA: Bool = false,
    b: Floats, ldb: Int, transposeB: Bool = false, beta: Float = 0, c: MutableFloats, ldc: Int
  ) {
    for row in 0..<m {
      for column in 0..<n {
        var sum = 0.0
        for inner in 0..<k {
          let left = transposeA ? a[inner * lda + row] : a[row * lda + inner]
          let right = transposeB ? b[column * ldb + inner] : b[inner * ldb + column]
          sum += Double(left) * Double(right)
        }
        let old = beta == 0 ? 0 : Double(beta) * Double(c[row * ldc + column])
        c[row * ldc + column] = Float(Double(alpha) * sum + old)
      }
    }
  }
}
