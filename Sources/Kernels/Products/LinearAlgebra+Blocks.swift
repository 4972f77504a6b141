import COpenBLAS
import Core

/// How C is cut into blocks that are computed at the same time.
private struct BlockGrid {
  let (m, n): (Int, Int)
  let (rows, columns): (Int, Int)

  /// Edges are multiples of this, which is one of all of OpenBLAS's tiles: with its kernels for AVX-512 an element then gets the
  /// same bits in any block.
  private static let edge = 64
  /// Laying out A and B for a block takes about as long as so many columns and rows of it do.
  private static let setup = 24

  /// The blocks that so many threads are done with the earliest.
  init(m: Int, n: Int, threads: Int) {
    (self.m, self.n) = (m, n)
    let edge = Self.edge
    func sizes(_ count: Int) -> [Int] {
      let least = 2 * edge
      var sizes: [Int] = []
      for parts in 1...max(1, min(count / least, 4 * threads)) {
        let size = ((count + parts - 1) / parts + edge - 1) / edge * edge
        if sizes.last != size { sizes.append(size) }
      }
      return sizes
    }
    var best = (rows: m, columns: n, cost: Int.max)
    for rows in sizes(m) {
      for columns in sizes(n) {
        let blocks = Self.count(m, rows) * Self.count(n, columns)
        let cost =
          (blocks + threads - 1) / threads * (min(rows, m) + Self.setup) * (min(columns, n) + Self.setup)
        if cost < best.cost { best = (rows, columns, cost) }
      }
    }
    (rows, columns) = (best.rows, best.columns)
  }

  /// What is left over is a block of its own where it is not too small for OpenBLAS's usual kernels.
  private static func count(_ all: Int, _ size: Int) -> Int { max(1, (all + size - edge) / size) }

  private static func part(_ index: Int, _ all: Int, _ size: Int) -> Range<Int> {
    index * size..<(index + 1 == count(all, size) ? all : (index + 1) * size)
  }

  private var across: Int { Self.count(n, columns) }
  var count: Int { Self.count(m, rows) * across }

  func block(_ index: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    (Self.part(index / across, m, rows), Self.part(index % across, n, columns))
  }

  var pieces: [LoopPiece] {
    (0..<count).map { index in
      let (rows, columns) = block(index)
      return LoopPiece(share: Double((rows.count + Self.setup) * (columns.count + Self.setup)))
    }
  }
}

extension LinearAlgebra {
  /// The cut that is made for any number of threads with OpenBLAS's other kernels: those for AVX2 sum what is at a block's edge in
  /// another order than what is within. Few threads lose some per cent by it, and more than these find no more blocks.
  private static let fixedCut = 8

  /// Steps over k that OpenBLAS sums before it adds to C, with AVX-512.
  private static let steps = 448

  /// C[m, n] = alpha · Aᵀ · B + beta · C, all row-major, A [k, m] and B [k, n] with rows of `lda` and `ldb`: in blocks of C that
  /// this project's threads take, each by OpenBLAS on one. Its own threads would go on spinning beside those for
  /// milliseconds, and would sum in another order than one thread does.
  static func multiplyInBlocks(
    m: Int, n: Int, k: Int, alpha: Float, transposedA a: Floats, lda: Int, b: Floats, ldb: Int, beta: Float,
    c: MutableFloats, ldc: Int, _ compute: Compute
  ) {
    use(1, for: 0)
    let cut: @Sendable (Int) -> BlockGrid = { BlockGrid(m: m, n: n, threads: sumsAlikeAtEdges ? $0 : fixedCut) }
    let grid = cut(compute.threads)
    nonisolated(unsafe) let (a, b, c) = (a, b, c)
    parallelFor(
      grid.count, threads: compute.threads, cut: LoopCut { cut($0).pieces }
    ) { index in
      let (rows, columns) = grid.block(index)
      var (first, beta) = (0, beta)
      repeat {
        // As OpenBLAS's threads would cut it.
        let rest = k - first
        let count = rest >= 2 * steps ? steps : rest > steps ? (rest + 1) / 2 : rest
        cblas_sgemm(
          CblasRowMajor, CblasTrans, CblasNoTrans, Int32(rows.count), Int32(columns.count), Int32(count), alpha,
          a + first * lda + rows.lowerBound, Int32(lda), b + first * ldb + columns.lowerBound, Int32(ldb), beta,
          c + rows.lowerBound * ldc + columns.lowerBound, Int32(ldc))
        first += count
        beta = 1
      } while first < k
    }
  }
}
