import Core
import Kernels
import Quantizing

/// How far the outputs of linears move when their weights are quantised: ‖x·Q − x·W‖_F / ‖x·W‖_F, with W a linear's
/// weight, Q what its 4 bits decode to, and x [N, in] every input that the linear got in the full-precision model over the
/// batches shown. Biases, which both products share, are left out.
///
/// Only sums of squares are kept, in double, so that memory does not grow with N.
public final class OutputErrorMeter {
  private struct Probe {
    var full: Linear
    var quantized: Linear
    var squaredError = 0.0
    var squaredOutput = 0.0
  }

  private let pass: InferencePass
  public var decoder: Decoder { pass.decoder }
  private let context: PassContext
  /// By linear index; nil where a linear is not quantised.
  private var probes: [Probe?]
  private let outputs = FloatBuffer()
  private let quantizedOutputs = FloatBuffer()

  /// `decoder` is the base in full precision. `matrices` is by tensor name; linears that are not in it are not measured.
  public init(_ decoder: Decoder, _ matrices: [String: QuantizedMatrix], _ compute: Compute) {
    let memory = PassMemory()
    pass = InferencePass(decoder, nil, compute, memory: memory)
    context = memory.context(compute, nil)
    probes = zip(decoder.linears, decoder.blocks.flatMap(\.linears)).map { description, linear in
      guard let matrix = matrices[description.weightName] else { return nil }
      var (full, quantized) = (linear, linear)
      (full.bias, quantized.bias) = (nil, nil)
      quantized.weight = .quantized(matrix)
      return Probe(full: full, quantized: quantized)
    }
  }

  /// Runs the model over a batch and adds what its rows say.
  public func add(_ batch: Batch) {
    pass.observe(batch) { [self] linear, x, rows in add(linear, x, rows) }
  }

  private func add(_ linear: Int, _ x: Floats, _ rows: Int) {
    guard let probe = probes[linear] else { return }
    let count = rows * probe.full.outputWidth
    let exact = outputs.ensure(count)
    let rounded = quantizedOutputs.ensure(count)
    probe.full.forward(x, exact, bottleneck: nil, rows: rows, context)
    probe.quantized.forward(x, rounded, bottleneck: nil, rows: rows, context)
    var (error, total) = (0.0, 0.0)
    for i in 0..<count {
      let output = Double(exact[i])
      let difference = Double(rounded[i]) - output
      error += difference * difference
      total += output * output
    }
    probes[linear]?.squaredError += error
    probes[linear]?.squaredOutput += total
  }

  /// By linear index; nil where a linear is not measured, or where the full-precision outputs are all zero and the
  /// quantised ones are not. Not finite where the outputs are not.
  public var relativeErrors: [Double?] {
    probes.map { probe in
      guard let probe else { return nil }
      if probe.squaredOutput == 0 { return probe.squaredError == 0 ? 0 : nil }
      return (probe.squaredError / probe.squaredOutput).squareRoot()
    }
  }
}
