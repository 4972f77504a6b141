import CKernels
import Core

/// A right-hand factor B[k, n] as it is stored; k and n as if a term took all of it, which may begin inside it.
public enum ProductFactor {
  /// B(x, j) = values[x · stride + j].
  case stored(Floats, stride: Int)
  /// B(x, j) = values[j · stride + x].
  case transposed(Floats, stride: Int)
  /// A k × n weight laid out beforehand.
  case panels(PanelMatrix)
  /// The transpose of an n × k weight laid out beforehand.
  case panelsTransposed(PanelMatrix)
  /// k outputs × n inputs in 4 bits.
  case fourBit(FourBitMatrix)
  /// n outputs × k inputs in 4 bits.
  case fourBitTransposed(FourBitMatrix)
  /// A k × n matrix of 16-bit floats.
  case half(HalfMatrix)
  /// The transpose of an n × k matrix of 16-bit floats.
  case halfTransposed(HalfMatrix)
  /// k outputs × n inputs in quantised blocks.
  case blocks(BlockMatrix)
  /// n outputs × k inputs in quantised blocks.
  case blocksTransposed(BlockMatrix)
}

/// scale · A[m, k] · B[k, n], with A(i, x) = a[i · rowStride + x · step].
public struct ProductTerm {
  public var a: Floats
  public var rowStride: Int
  public var step: Int
  public var k: Int
  public var b: ProductFactor
  /// Where B begins in what is stored. Of a matrix laid out beforehand `firstColumn`, or `firstRow` of its transpose, begins
  /// a panel: a multiple of 64.
  public var firstRow: Int
  public var firstColumn: Int
  public var scale: Float

  /// A row-major with rows of `rowStride`, or, with `step`, any other way.
  public init(
    _ a: Floats, rowStride: Int, step: Int = 1, k: Int, _ b: ProductFactor, firstRow: Int = 0, firstColumn: Int = 0,
    scale: Float = 1
  ) {
    switch b {
    case .panels: precondition(firstColumn % ProductSum.panelColumns == 0, "a part begins inside a panel")
    case .panelsTransposed: precondition(firstRow % ProductSum.panelColumns == 0, "a part begins inside a panel")
    case .stored, .transposed, .fourBit, .fourBitTransposed, .half, .halfTransposed, .blocks, .blocksTransposed: break
    }
    self.a = a
    self.rowStride = rowStride
    self.step = step
    self.k = k
    self.b = b
    self.firstRow = firstRow
    self.firstColumn = firstColumn
    self.scale = scale
  }

  /// Whether B is laid out already; then the panels win for a single row too.
  var isInPanels: Bool {
    switch b {
    case .panels, .panelsTransposed: true
    case .stored, .transposed, .fourBit, .fourBitTransposed, .half, .halfTransposed, .blocks, .blocksTransposed: false
    }
  }
}

/// C[m, n] = addend + bias + Σ terms: what a linear with an adapter computes, in one pass over C.
///
/// By the project's own kernels on panels of 64 columns of B, where they win: B is laid out (and decoded, where it is in 4
/// bits or in blocks) a panel at a time in a buffer that stays in the second-level cache, so no weight exists twice; a
/// `PanelMatrix` is laid out already. Otherwise, and for the plain engine, by OpenBLAS. Each element is summed in one
/// order, whatever the number of threads.
public struct ProductSum {
  public var m: Int
  public var n: Int
  public var first: ProductTerm
  public var second: ProductTerm?
  /// [m, n] with rows of `addendStride`; may be C itself.
  public var addend: Floats?
  public var addendStride: Int
  /// [n].
  public var bias: Floats?
  /// What its time is counted as.
  public var operation = ProfiledOperation.otherProducts

  public init(
    m: Int, n: Int, _ first: ProductTerm, _ second: ProductTerm? = nil, addend: Floats? = nil, addendStride: Int = 0,
    bias: Floats? = nil
  ) {
    self.m = m
    self.n = n
    self.first = first
    self.second = second
    self.addend = addend
    self.addendStride = addendStride
    self.bias = bias
  }

  /// This product with its time counted as `operation`.
  public func profiled(as operation: ProfiledOperation) -> ProductSum {
    var copy = self
    copy.operation = operation
    return copy
  }

  static let panelColumns = Int(SFT_PANEL)
  /// Steps over k that a panel holds at most: with 64 columns, 192 KB.
  static let panelSteps = 768
  /// Floats of scratch for each thread: for either term a panel, and 64 × 64 decoded elements.
  static let scratchFloats = 2 * (panelSteps * panelColumns + panelColumns * panelColumns)

  /// Floats of scratch that products take on the panels, at most.
  public static func panelScratch(threads: Int) -> Int { threads * scratchFloats }

  /// Computes C, [m, n] with rows of `stride`. `scratch` is reused from call to call.
  public func compute(into c: MutableFloats, stride: Int, scratch: FloatBuffer, _ compute: Compute) {
    if m == 0 || n == 0 { return }
    let timing = compute.time(operation, flop: 2 * Double(m * n) * Double(first.k + (second?.k ?? 0)))
    defer { timing?.end() }
    if compute.engine == .auto, computeFewRows(into: c, stride: stride, scratch: scratch, compute) { return }
    let isOnPanels = first.isInPanels || compute.rowKernels != .fastest
    if compute.engine == .auto, !isWeightGradient, Self.panelsWin(m: isOnPanels ? 2 : m, level: sft_cpu_level()) {
      computeOnPanels(into: c, stride: stride, scratch: scratch, level: sft_cpu_level(), compute)
    } else {
      computeByOpenBLAS(into: c, stride: stride, scratch: scratch, compute)
    }
  }

  /// A transposed and large, as for a weight's gradient xᵀ · dy: a panel would read all of A across its rows, and again for
  /// each panel, where OpenBLAS lays it out once. Measured while training a GPT-2 124M: a fifth faster for the blocks'
  /// weights, nearly twice as fast for the head's.
  var isWeightGradient: Bool { first.step != 1 && m >= 256 && n >= 256 }

  /// Measured with `Tests/Benchmarks/products.sh`: with AVX2 and AVX-512 the panels win from two rows on; one row is a
  /// matrix-vector product, and without those instructions OpenBLAS's assembly is faster.
  static func panelsWin(m: Int, level: Int32) -> Bool { m >= 2 && level >= 3 }
}
