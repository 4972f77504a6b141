import CKernels

/// The two 4-bit data types of bitsandbytes, which agree on everything but their sixteen values.
public enum FourBitCode: String, Sendable, Codable, CaseIterable {
  /// NormalFloat (Dettmers et al. 2023): quantiles of the normal distribution, zero among them.
  case nf4
  /// Sign, two bits of exponent, one of mantissa; both zeros occur.
  case fp4

  /// The 16 values by code, valid for ever.
  public var table: Floats {
    switch self {
    case .nf4: Self.nf4Table.pointer
    case .fp4: Self.fp4Table.pointer
    }
  }

  /// The 16 values by code, as an array.
  public var values: [Float] { Array(UnsafeBufferPointer(start: table, count: 16)) }

  /// The values as integers, by code, twice over; times `integerScale` they are the values, to within 1.2e-5.
  var integers: UnsafePointer<Int16> { integerLevels.table.pointer }

  var integerScale: Float { integerLevels.scale }

  private var integerLevels: (table: ConstantTable<Int16>, scale: Float) {
    switch self {
    case .nf4: Self.nf4Integers
    case .fp4: Self.fp4Integers
    }
  }

  /// The values as integers from 0 to 127; less their zero and times their scale they are the values, to within 5.3e-3.
  var bytes: sft_four_bit_bytes {
    switch self {
    case .nf4: Self.nf4Bytes
    case .fp4: Self.fp4Bytes
    }
  }

  private static let nf4Integers = makeIntegers(nf4Table.pointer)
  private static let fp4Integers = makeIntegers(fp4Table.pointer)
  private static let nf4Bytes = makeBytes(nf4Table.pointer)
  private static let fp4Bytes = makeBytes(fp4Table.pointer)

  /// Of all scales that products in 32 bits allow, the one that rounds the values the least.
  private static func makeIntegers(_ table: Floats) -> (table: ConstantTable<Int16>, scale: Float) {
    let values = (0..<16).map { Double(table[$0]) }
    func error(_ largest: Int) -> Double {
      values.map { abs($0 - ($0 * Double(largest)).rounded() / Double(largest)) }.max() ?? 0
    }
    let largest = (8192...16383).min { error($0) < error($1) } ?? 16383
    let integers = values.map { Int16(($0 * Double(largest)).rounded()) }
    return (ConstantTable(integers + integers), Float(1 / Double(largest)))
  }

  /// Of the scales and zeros, in hundredths, that put the values between 0 and 127, those with the least sum of squared errors.
  private static func makeBytes(_ table: Floats) -> sft_four_bit_bytes {
    let values = (0..<16).map { Double(table[$0]) }
    var best = (error: Double.infinity, scale: 1.0, zero: 0.0)
    for scale in stride(from: 60, through: 63.5, by: 0.01) {
      for zero in stride(from: 63, through: 64, by: 0.01) {
        let levels = values.map { ($0 * scale + zero).rounded() }
        guard levels.allSatisfy({ (0...127).contains($0) }) else { continue }
        let error = zip(values, levels).reduce(0) { sum, pair in
          let difference = (pair.1 - zero) / scale - pair.0
          return sum + difference * difference
        }
        if error < best.error { best = (error, scale, zero) }
      }
    }
    var bytes = sft_four_bit_bytes()
    bytes.scale = Float(1 / best.scale)
    bytes.zero = Float(best.zero)
    withUnsafeMutableBytes(of: &bytes.levels) { levels in
      for (code, value) in values.enumerated() { levels[code] = UInt8((value * best.scale + best.zero).rounded()) }
    }
    return bytes
  }

  /// How a value becomes a code.
  var encoder: sft_four_bit_code {
    switch self {
    case .nf4: Self.nf4Encoder
    case .fp4: Self.fp4Encoder
    }
  }

  private static let nf4Table = ConstantTable<Float>([
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
  ])
  private static let fp4Table = ConstantTable<Float>(
    ([0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3] as [Float]).map { $0 / 12 })
  private static let nf4Encoder = makeEncoder(nf4Table.pointer, ascending: Array(0..<16))
  /// Of FP4's zeros, 0 stands for what is rounded up to zero and for zero itself, 8 for what is rounded down.
  private static let fp4Encoder = makeEncoder(
    fp4Table.pointer, ascending: [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3])

  /// Bounds halfway between neighbours in the order of their values, in float32.
  private static func makeEncoder(_ table: Floats, ascending: [Int]) -> sft_four_bit_code {
    var encoder = sft_four_bit_code()
    for (place, code) in ascending.enumerated() { encoder.order |= UInt64(code) << UInt64(4 * place) }
    withUnsafeMutableBytes(of: &encoder.bounds) { bytes in
      let bounds = bytes.bindMemory(to: Float.self)
      for (place, (lower, upper)) in zip(ascending, ascending.dropFirst()).enumerated() {
        bounds[place] = (table[lower] + table[upper]) / 2
      }
    }
    return encoder
  }
}

/// Values that are never freed, for kernels to point to.
struct ConstantTable<Element: BitwiseCopyable & Sendable>: Sendable {
  nonisolated(unsafe) let pointer: UnsafePointer<Element>

  init(_ values: [Element]) {
    let memory = UnsafeMutableBufferPointer<Element>.allocate(capacity: values.count)
    _ = memory.initialize(from: values)
    guard let base = memory.baseAddress else { preconditionFailure("a table has values") }
    pointer = UnsafePointer(base)
  }
}
