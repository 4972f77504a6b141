import CKernels
import Core
import Glibc

/// AdamW with 8-bit moments (Dettmers et al. 2022), as `bitsandbytes.optim.AdamW8bit` computes it on CPUs: the moments are
/// kept as codes of a dynamic map with an absmax for each block of 256, decoded, updated and encoded again in each step.
///
/// The order is torch's: gradients are scaled, the parameter is decayed by 1 − lr·decay and then moved by the moments as
/// they are before they are rounded to codes again, ε beside √v̂. (bitsandbytes' CUDA kernel decays last: not so here.)
extension AdamWStep {
  /// Moments of one tensor: 2 bytes a parameter, and 8 a block. Starts at zero.
  public final class EightBitMoments {
    /// Smaller tensors keep their moments in float32.
    public static let smallestTensor = 4096

    /// `count` each.
    public let mCodes: UnsafeMutableBufferPointer<UInt8>
    public let vCodes: UnsafeMutableBufferPointer<UInt8>
    /// One a block of 256.
    public let mAbsmax: UnsafeMutableBufferPointer<Float>
    public let vAbsmax: UnsafeMutableBufferPointer<Float>

    public init(count: Int) {
      func zeros<Element: Numeric>(_ count: Int) -> UnsafeMutableBufferPointer<Element> {
        let values = allocateAligned(bytes: count * MemoryLayout<Element>.stride)
        let memory = UnsafeMutableBufferPointer(
          start: values.bindMemory(to: Element.self, capacity: count), count: count)
        memory.initialize(repeating: 0)
        return memory
      }
      let blocks = (count + DynamicMap.blockSize - 1) / DynamicMap.blockSize
      (mCodes, vCodes) = (zeros(count), zeros(count))
      (mAbsmax, vAbsmax) = (zeros(blocks), zeros(blocks))
    }

    deinit {
      mCodes.deallocate()
      vCodes.deallocate()
      mAbsmax.deallocate()
      vAbsmax.deallocate()
    }

    public var count: Int { mCodes.count }
    public var blocks: Int { mAbsmax.count }
    /// Bytes that the moments take.
    public var bytes: Int { Self.bytes(count: count) }

    /// Bytes that the moments of `count` parameters take.
    public static func bytes(count: Int) -> Int {
      2 * count + 2 * ((count + DynamicMap.blockSize - 1) / DynamicMap.blockSize) * MemoryLayout<Float>.stride
    }
  }

  /// Updates `parameters` and `moments` in place; as many elements as the moments were made for, or only some of their
  /// blocks: no block depends on another.
  public func apply(
    _ parameters: MutableFloats, gradients: Floats, moments: EightBitMoments, blocks: Range<Int>? = nil,
    _ compute: Compute
  ) {
    guard let m = moments.mCodes.baseAddress, let v = moments.vCodes.baseAddress,
      let mScales = moments.mAbsmax.baseAddress, let vScales = moments.vAbsmax.baseAddress
    else { return }
    let (count, blocks) = (moments.count, blocks ?? 0..<moments.blocks)
    nonisolated(unsafe) let (mCodes, vCodes, mAbsmax, vAbsmax) = (m, v, mScales, vScales)
    let block = DynamicMap.blockSize
    let (mMap, vMap, factors) = (DynamicMap.signed, DynamicMap.unsigned, eightBitFactors)
    nonisolated(unsafe) let (parameters, gradients) = (parameters, gradients)
    compute.overRanges(blocks.count, grain: 64) { part in
      let range = blocks.lowerBound + part.lowerBound..<blocks.lowerBound + part.upperBound
      let (i, end) = (range.lowerBound * block, min(range.upperBound * block, count))
      switch compute.engine {
      case .auto:
        sft_adamw_8bit(
          parameters + i, gradients + i, mCodes + i, vCodes + i, mAbsmax + range.lowerBound, vAbsmax + range.lowerBound,
          end - i, mMap.memory, vMap.memory, factors)
      case .plain:
        for place in range {
          let range = place * block..<min((place + 1) * block, count)
          var m = range.map { mMap.values[Int(mCodes[$0])] * mAbsmax[place] }
          var v = range.map { vMap.values[Int(vCodes[$0])] * vAbsmax[place] }
          updatePlain(parameters + range.lowerBound, gradients + range.lowerBound, &m, &v, factors)
          let start = range.lowerBound
          mMap.encodePlain(m, 0..<range.count, mCodes + start, mAbsmax + place)
          vMap.encodePlain(v, 0..<range.count, vCodes + start, vAbsmax + place)
        }
      }
    }
  }

  /// One block's moments and parameters, the reference: rounded and fused where torch does.
  private func updatePlain(
    _ parameters: MutableFloats, _ gradients: Floats, _ m: inout [Float], _ v: inout [Float],
    _ factors: sft_adamw_8bit_factors
  ) {
    for i in m.indices {
      let g = gradients[i] * factors.gradient_scale
      m[i] = (m[i] * factors.beta1).addingProduct(g, factors.one_minus_beta1)
      v[i] = (v[i] * factors.beta2).addingProduct(factors.one_minus_beta2 * g, g)
      let denominator = v[i].squareRoot() / factors.bias_correction2_sqrt + factors.epsilon
      parameters[i] = parameters[i] * factors.decay + factors.negative_step_size * m[i] / denominator
    }
  }

  private var eightBitFactors: sft_adamw_8bit_factors {
    let correction1 = 1 - pow(beta1, Double(step))
    let correction2 = (1 - pow(beta2, Double(step))).squareRoot()
    return sft_adamw_8bit_factors(
      gradient_scale: gradientScale, decay: Float(1 - learningRate * weightDecay), beta1: Float(beta1),
      one_minus_beta1: Float(1 - beta1), beta2: Float(beta2), one_minus_beta2: Float(1 - beta2),
      negative_step_size: Float(-learningRate / correction1), bias_correction2_sqrt: Float(correction2),
      epsilon: Float(epsilon))
  }
}
