import CKernels
import Glibc

/// AdamW with 8-bit moments (Dettmers et al. 2022), as `bitsandbytes.optim.AdamW8bit` computes it on CPUs: the moments are
/// kept as codes of a dynamic map with an absmax for each block of 256, decoded, updated and encoded again in each step.
extension AdamWStep {
  /// Moments of one tensor: 2 bytes a parameter, and 8 a block. Starts at zero.
  public struct EightBitMoments: Sendable, Equatable {
    /// Smaller tensors keep their moments in float32.
    public static let smallestTensor = 4096

    public var mCodes: [UInt8]
    public var vCodes: [UInt8]
    /// One a block of 256.
    public var mAbsmax: [Float]
    public var vAbsmax: [Float]

    public init(count: Int) {
      let blocks = (count + DynamicMap.blockSize - 1) / DynamicMap.blockSize
      mCodes = [UInt8](repeating: 0, count: count)
      vCodes = mCodes
      mAbsmax = [Float](repeating: 0, count: blocks)
      vAbsmax = mAbsmax
    }
  }

  /// Updates `parameters` and `moments` in place; as many elements as the moments were made for.
  public func apply(
    _ parameters: MutableFloats, gradients: Floats, moments: inout EightBitMoments, _ compute: Compute
  ) {
    let count = moments.mCodes.count
    moments.mCodes.withUnsafeMutableBufferPointer { mCodes in
      moments.vCodes.withUnsafeMutableBufferPointer { vCodes in
        moments.mAbsmax.withUnsafeMutableBufferPointer { mAbsmax in
          moments.vAbsmax.withUnsafeMutableBufferPointer { vAbsmax in
            guard let m = mCodes.baseAddress, let v = vCodes.baseAddress, let mAbsmax = mAbsmax.baseAddress,
              let vAbsmax = vAbsmax.baseAddress
            else { return }
            apply(
              parameters, gradients: gradients, mCodes: m, vCodes: v, mAbsmax: mAbsmax, vAbsmax: vAbsmax, count: count,
              compute)
          }
        }
      }
    }
  }

  /// The same on memory: `count` codes each, and an absmax for each block of 256.
  public func apply(
    _ parameters: MutableFloats, gradients: Floats, mCodes: UnsafeMutablePointer<UInt8>,
    vCodes: UnsafeMutablePointer<UInt8>, mAbsmax: MutableFloats, vAbsmax: MutableFloats, count: Int, _ compute: Compute
  ) {
    let block = DynamicMap.blockSize
    let (mMap, vMap, factors) = (DynamicMap.signed, DynamicMap.unsigned, eightBitFactors)
    nonisolated(unsafe) let (parameters, gradients) = (parameters, gradients)
    nonisolated(unsafe) let (mCodes, vCodes, mAbsmax, vAbsmax) = (mCodes, vCodes, mAbsmax, vAbsmax)
    compute.overRanges((count + block - 1) / block, grain: 64) { range in
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
