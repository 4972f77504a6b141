import CKernels
import Glibc

/// Rotary position embedding (RoPE, Su et al. 2021) in the half-split form: at position p, dimensions i and i + half of
/// each head turn by p · frequency[i].
///
/// Cosines and sines are computed once for a range of positions and shared by all layers that rotate alike.
public final class Rotary: Sendable {
  /// Pairs of a head.
  public let half: Int
  private let frequencies: [Float]
  /// Of rows of long sequences.
  private let long: [Float]
  private let amplitude: Float

  /// Radians a position, one a pair, and those of long sequences where they have their own; sines and cosines are multiplied by
  /// `amplitude`.
  public init(frequencies: [Float], long: [Float]? = nil, amplitude: Double) {
    self.frequencies = frequencies
    self.long = long ?? frequencies
    self.amplitude = Float(amplitude)
    half = frequencies.count
  }

  /// Cosines and sines of each row's position: [rows, half] of one, then of the other. `isLong`, of each row: whether
  /// it belongs to a long sequence.
  public func angles(_ positions: [Int], isLong: [Bool]? = nil, into buffer: FloatBuffer, _ compute: Compute)
    -> RotaryAngles
  {
    let cosines = buffer.ensure(2 * positions.count * half)
    let sines = cosines + positions.count * half
    nonisolated(unsafe) let (cosineRows, sineRows) = (cosines, sines)
    compute.overRanges(positions.count, grain: max(1, (1 << 9) / max(1, half))) { range in
      for row in range {
        let frequencies = isLong?[row] == true ? long : frequencies
        for i in 0..<half {
          // In float32, as transformers has it.
          let angle = Float(positions[row]) * frequencies[i]
          cosineRows[row * half + i] = cosf(angle) * amplitude
          sineRows[row * half + i] = sinf(angle) * amplitude
        }
      }
    }
    return RotaryAngles(half: half, cosines: Floats(cosines), sines: Floats(sines))
  }
}

/// What the rows of a batch turn by; valid for as long as the buffer it was computed into.
public struct RotaryAngles {
  let half: Int
  let cosines: Floats
  let sines: Floats

  /// Turns `heads` side by side, of `headWidth`, in rows of x that are `stride` apart; only `rows` where they are
  /// given. `back`: the transpose, which takes gradients back.
  public func rotate(
    _ x: MutableFloats, stride: Int, heads: Int, headWidth: Int, count: Int, rows: [Int]? = nil, back: Bool = false,
    _ compute: Compute
  ) {
    let timing = compute.time(.rotary)
    defer { timing?.end() }
    let half = half
    nonisolated(unsafe) let (x, cosines, sines) = (x, cosines, sines)
    compute.overRanges(rows?.count ?? count, grain: max(1, (1 << 12) / (heads * headWidth))) { range in
      for index in range {
        let row = rows?[index] ?? index
        let (place, c, s) = (x + row * stride, cosines + row * half, sines + row * half)
        switch compute.engine {
        case .auto:
          if back {
            sft_rotate_back(place, heads, headWidth, half, c, s)
          } else {
            sft_rotate(place, heads, headWidth, half, c, s)
          }
        case .plain:
          for head in 0..<heads { turnPlain(place + head * headWidth, half, c, s, back: back) }
        }
      }
    }
  }
}

private func turnPlain(_ x: MutableFloats, _ half: Int, _ cosines: Floats, _ sines: Floats, back: Bool) {
  for i in 0..<half {
    let (a, b) = (Double(x[i]), Double(x[i + half]))
    let (c, s) = (Double(cosines[i]), Double(back ? -sines[i] : sines[i]))
    x[i] = Float(a * c - b * s)
    x[i + half] = Float(b * c + a * s)
  }
}
