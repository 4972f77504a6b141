import CKernels
import Glibc

/// An 8-bit dynamic data type (Dettmers 2016): 256 values of [-1, 1] with a dynamic exponent, dense near zero, and the
/// rounding to it. Entry for entry what bitsandbytes' `create_dynamic_map` and its CPU code compute.
public struct DynamicMap: Sendable {
  /// Both signs: for first moments, and for the statistics of 4-bit blocks.
  public static let signed = DynamicMap(isSigned: true)
  /// From 0: for second moments.
  public static let unsigned = DynamicMap(isSigned: false)

  /// Values that share an absmax.
  public static let blockSize = Int(SFT_EIGHT_BIT_BLOCK)

  private let table: ConstantTable<Float>
  private let binTable: ConstantTable<UInt8>

  /// The 256 values, ascending, valid for ever.
  public var values: Floats { table.pointer }
  /// The code of each of 65,536 equal bins of [-1, 1].
  var bins: UnsafePointer<UInt8> { binTable.pointer }
  var memory: sft_dynamic_map { sft_dynamic_map(values: values, bins: bins) }

  private init(isSigned: Bool) {
    let values = Self.makeValues(isSigned: isSigned)
    table = ConstantTable(values)
    binTable = ConstantTable(Self.makeBins(values))
  }

  /// For each exponent the middles of equal parts of [0.1, 1] times a power of ten: 2^i parts, with both signs, or twice
  /// as many; and 0 and 1. All in float32, rounded where torch rounds.
  private static func makeValues(isSigned: Bool) -> [Float] {
    var values: [Float] = [0, 1]
    for exponent in 0..<7 {
      let ends = linearSpace(count: (isSigned ? 1 << exponent : 2 << exponent) + 1)
      let scale = Float(pow(10, Double(exponent - 6)))
      for (lower, upper) in zip(ends, ends.dropFirst()) {
        let value = scale * ((lower + upper) / 2)
        values.append(value)
        if isSigned { values.append(-value) }
      }
    }
    return values.sorted()
  }

  /// torch's `linspace(0.1, 1, count)`: from each end to the middle, each step fused.
  private static func linearSpace(count: Int) -> [Float] {
    let (start, end): (Float, Float) = (0.1, 1)
    let step = (end - start) / Float(count - 1)
    return (0..<count).map { index in
      index < count / 2
        ? start.addingProduct(step, Float(index)) : end.addingProduct(-step, Float(count - index - 1))
    }
  }

  /// The entry nearest to the centre of each bin; ties go down.
  private static func makeBins(_ values: [Float]) -> [UInt8] {
    let bounds = zip(values, values.dropFirst()).map { ($0 + $1) * 0.5 }
    var code = 0
    return (0..<65_536).map { bin in
      let centre = Float(2 * bin) / 65_535 - 1
      while code < bounds.count, bounds[code] < centre { code += 1 }
      return UInt8(code)
    }
  }

  /// The bin of a value already divided by its block's absmax; what is outside [-1, 1] counts as its nearer end, and NaN,
  /// which comes of an absmax whose inverse overflows, as -1.
  static func bin(_ value: Float) -> Int {
    let clamped = min(value > -1 ? value : -1, 1)
    return Int(Float(0.5).addingProduct((clamped + 1) * 0.5, 65_535))
  }

  /// Quantises `count` values in blocks of 256, the last perhaps short: a code each, and the absmax of each block. A block
  /// of zeros has code 0 and absmax 0.
  public func encode(
    _ values: Floats, count: Int, codes: UnsafeMutablePointer<UInt8>, absmax: MutableFloats, _ compute: Compute
  ) {
    let block = Self.blockSize
    nonisolated(unsafe) let (values, codes, absmax) = (values, codes, absmax)
    compute.overRanges((count + block - 1) / block, grain: 64) { range in
      let (first, end) = (range.lowerBound * block, min(range.upperBound * block, count))
      switch compute.engine {
      case .auto:
        sft_eight_bit_encode(bins, values + first, end - first, codes + first, absmax + range.lowerBound)
      case .plain:
        for place in range { encodePlain(values, place * block..<min((place + 1) * block, count), codes, absmax) }
      }
    }
  }

  /// One block, the reference.
  func encodePlain(
    _ values: Floats, _ range: Range<Int>, _ codes: UnsafeMutablePointer<UInt8>, _ absmax: MutableFloats
  ) {
    let largest = range.reduce(Float(0)) { max($0, abs(values[$1])) }
    absmax[range.lowerBound / Self.blockSize] = largest
    let inverse = 1 / largest
    for index in range { codes[index] = largest == 0 ? 0 : bins[Self.bin(values[index] * inverse)] }
  }
}
