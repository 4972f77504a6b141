import Core
import Files
import FoundationEssentials
import Glibc
import Kernels
import Quantizing

/// How fast this machine does what training is made of, measured in a tenth of a second or so and kept in the workspace.
struct MachineRates: Codable, Equatable {
  /// Something that takes time of its own.
  enum Operation: String, CaseIterable, Codable {
    /// Products with frozen weights, by how these are kept, on the way forward and back.
    case packedForward, packedBackward, halfForward, halfBackward, fourBitForward, fourBitBackward
    case storedForward, storedBackward
    /// An adapter's, and gradients of weights.
    case thin, weightGradients
    case attentionForward, attentionBackward
    /// A gated activation's two ways: for each float, the memory it moves included.
    case activation
    /// A sum of two rows.
    case addition
    /// AdamW for each parameter.
    case optimizer
  }

  /// Rows of the batches that it was measured with.
  static let rows = [32, 256]

  /// What it was measured on.
  var machine: String
  /// Units (floating-point operations of products and attention, floats of the rest) a second, for each of `rows`.
  var rates: [String: [Double]]
  /// By a trial's identity, how many times as long it took as the rates say.
  var corrections: [String: Double]?

  /// Units a second for `rows` rows: interpolated between the measured ones by the logarithm of the rows, constant beyond them.
  func rate(_ operation: Operation, rows: Double) -> Double {
    guard let rates = rates[operation.rawValue], rates.count == Self.rows.count else { return 1e9 }
    let (low, high) = (log2(Double(Self.rows[0])), log2(Double(Self.rows[1])))
    let share = min(1, max(0, (log2(max(rows, 1)) - low) / (high - low)))
    return rates[0] + share * (rates[1] - rates[0])
  }

  /// This machine's rates as the workspace holds them; else they are measured, and kept there if it can be written.
  static func cached(_ workspace: Workspace, threads: Int) -> MachineRates {
    let algebra = LinearAlgebra.report(threads: threads)
    let machine = "1 \(cpuName) \(algebra.kernels) \(algebra.coreType) \(threads)"
    let path = path(workspace)
    if let text = try? readFile(path, limit: 1 << 20),
      let known = try? JSONDecoder().decode(MachineRates.self, from: Data(text)), known.machine == machine
    {
      return known
    }
    let measured = MachineRates(machine: machine, rates: RateMeter(threads: threads).measure())
    measured.write(workspace)
    return measured
  }

  private static func path(_ workspace: Workspace) -> String { "\(workspace.path)/speed.json" }

  /// Adds what a trial found, where that can be done.
  func keep(_ correction: Double, of trial: String, _ workspace: Workspace) {
    var all = self
    all.corrections = (corrections ?? [:]).merging([trial: correction]) { $1 }
    all.write(workspace)
  }

  private func write(_ workspace: Workspace) {
    if (try? directoryExists(workspace.path)) == true, let data = try? JSONEncoder().encode(self) {
      try? writeAtomically(Array(data), to: Self.path(workspace))
    }
  }

  private static var cpuName: String {
    let lines = ((try? readPseudoFile("/proc/cpuinfo")) ?? "").split(separator: "\n")
    return lines.first { $0.hasPrefix("model name") }.map(String.init) ?? "?"
  }
}

/// Measures a machine's rates, each the best of a few.
private struct RateMeter {
  /// Of the square weights that products are measured with.
  private let width = 1024
  private let rank = 16
  private let compute: Compute
  private let x: FloatBuffer
  private let y: FloatBuffer
  private let weights: FloatBuffer
  private let scratch = FloatBuffer()

  init(threads: Int) {
    compute = Compute(threads: threads)
    let most = MachineRates.rows.max() ?? 1
    (x, y, weights) = (FloatBuffer(3 * most * width), FloatBuffer(3 * most * width), FloatBuffer(width * width))
    for i in 0..<x.capacity { x.pointer[i] = Float(i % 13) * 0.1 - 0.6 }
    for i in 0..<y.capacity { y.pointer[i] = Float(i % 11) * 0.1 - 0.5 }
    for i in 0..<weights.capacity { weights.pointer[i] = Float(i % 17) * 0.01 - 0.08 }
  }

  func measure() -> [String: [Double]] {
    var rates: [String: [Double]] = [:]
    func note(_ operation: MachineRates.Operation, _ units: Double, _ body: () -> Void) {
      let seconds = (0..<3).map { _ in MachineSpeed.seconds(body) }.min() ?? 1
      rates[operation.rawValue, default: []].append(units / max(seconds, 1e-9))
    }
    let packed = PanelMatrix(weights.pointer, stride: width, rows: width, columns: width, compute)
    let halves = FloatBuffer(width * width / 2)
    let half = HalfMatrix(
      UnsafeRawPointer(halves.pointer).assumingMemoryBound(to: UInt16.self), .bfloat16, rows: width, columns: width,
      keptBy: halves)
    let quantized = quantized()
    for rows in MachineRates.rows {
      let flop = 2 * Double(rows * width * width)
      func product(_ operation: MachineRates.Operation, _ b: ProductFactor) {
        let term = ProductTerm(Floats(x.pointer), rowStride: width, k: width, b)
        note(operation, flop) {
          ProductSum(m: rows, n: width, term).compute(into: y.pointer, stride: width, scratch: scratch, compute)
        }
      }
      product(.packedForward, .panels(packed))
      product(.packedBackward, .panelsTransposed(packed))
      product(.halfForward, .halfTransposed(half))
      product(.halfBackward, .half(half))
      product(.storedForward, .transposed(Floats(weights.pointer), stride: width))
      product(.storedBackward, .stored(Floats(weights.pointer), stride: width))
      if let quantized {
        product(.fourBitForward, .fourBitTransposed(quantized.matrix))
        product(.fourBitBackward, .fourBit(quantized.matrix))
      }
      note(.thin, flop * Double(rank) / Double(width)) {
        let term = ProductTerm(
          Floats(x.pointer), rowStride: width, k: width, .transposed(Floats(weights.pointer), stride: width))
        ProductSum(m: rows, n: rank, term).compute(into: y.pointer, stride: rank, scratch: scratch, compute)
      }
      note(.weightGradients, flop) {
        let term = ProductTerm(
          Floats(x.pointer), rowStride: 1, step: width, k: rows, .stored(Floats(y.pointer), stride: width))
        ProductSum(m: width, n: width, term).compute(into: weights.pointer, stride: width, scratch: scratch, compute)
      }
      measureAttention(rows, note)
      let count = rows * width / 2
      note(.activation, Double(count)) {
        GatedActivation.silu.forward(Floats(x.pointer), y.pointer, rows: rows, width: width / 2, compute)
        GatedActivation.silu.backward(
          Floats(x.pointer), dy: Floats(y.pointer), dx: y.pointer + rows * width, rows: rows, width: width / 2, compute)
      }
      note(.addition, Double(rows * width)) {
        Elementwise.add(Floats(x.pointer), to: Floats(y.pointer), into: y.pointer, count: rows * width, compute)
      }
      note(.optimizer, Double(count)) {
        let step = AdamWStep(
          gradientScale: 1, learningRate: 1e-9, beta1: 0.9, beta2: 0.999, weightDecay: 0.01, step: 1)
        step.apply(
          weights.pointer, gradients: Floats(x.pointer), m: y.pointer, v: y.pointer + rows * width, count: count,
          compute
        )
      }
    }
    return rates
  }

  /// One sequence of so many rows, 8 heads of 64 with 4 for keys.
  private func measureAttention(
    _ rows: Int, _ note: (MachineRates.Operation, Double, () -> Void) -> Void
  ) {
    let kernel = Attention(heads: 8, keyValueHeads: 4, headWidth: 64)
    let (stride, width) = (1024, 512)
    let output = FloatBuffer(rows * width)
    let sums = FloatBuffer(8 * rows)
    let scratch = FloatBuffer(kernel.backwardScratchCount(rows: rows, compute))
    let span = KeySpan(
      keys: Floats(x.pointer) + 512, values: Floats(x.pointer) + 768, count: rows, stride: stride, causalOffset: 0)
    let runs = [AttentionRun(firstRow: 0, rows: rows, spans: [span])]
    let buffers = AttentionBuffers(
      queries: Floats(x.pointer), queryStride: stride, output: output.pointer, logSumExp: sums.pointer, rows: rows)
    let flop = Double(rows * (rows + 1) / 2 * width)
    note(.attentionForward, 4 * flop) { kernel.forward(runs, buffers, scratch: scratch.pointer, compute) }
    note(.attentionBackward, 10 * flop) {
      kernel.backward(
        runs, buffers, upstream: Floats(output.pointer),
        AttentionGradients(queries: y.pointer, keys: y.pointer + 512, values: y.pointer + 768, stride: stride),
        rows: rows, scratch: scratch.pointer, compute)
    }
  }

  private func quantized() -> QuantizedMatrix? {
    guard
      let builder = try? QuantizedBuilder(
        outputs: width, inputs: width, name: "measured", settings: QuantizationSettings())
    else { return nil }
    builder.encode(UnsafeBufferPointer(start: weights.pointer, count: width * width), at: 0, compute)
    return try? builder.finish(compute)
  }
}
