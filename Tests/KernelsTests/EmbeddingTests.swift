import Kernels
import TestSupport
import Testing

@Suite struct EmbeddingTests {
  static let tokens: [Int32] = [3, 0, 3, 6, 3, 1]
  static let positions = [0, 1, 2, 0, 1, 2]

  @Test(arguments: [1, 16, 60, 200]) func rowsAreTheTables(_ width: Int) {
    let (words, places) = (noise(7 * width, seed: 1), noise(4 * width, seed: 2))
    let packed = PanelMatrix(transposed: words, stride: width, rows: width, columns: 7, compute(.auto))
    func x(_ words: Embedding.Table) -> [Float] {
      [Float](repeating: .nan, count: 6 * width).changed {
        Embedding.forward(
          words: words, places: places, tokens: Self.tokens, positions: Self.positions, $0, width: width,
          compute(.auto))
      }
    }
    let expected = zip(Self.tokens, Self.positions).flatMap { token, position in
      (0..<width).map { words[Int(token) * width + $0] + places[position * width + $0] }
    }
    #expect(words.withUnsafeBufferPointer { $0.baseAddress.map { x(.rows($0)) } } == expected)
    #expect(x(.columns(packed)) == expected)
  }

  /// The function is linear, so ⟨dx, forward(words, places)⟩ = ⟨backward(dx), (words, places)⟩ for any tables.
  @Test(arguments: [1, 16, 60, 200]) func backwardIsTheTranspose(_ width: Int) {
    let dx = noise(6 * width, seed: 3)
    let before = noise(11 * width, seed: 4)
    func gradients(threads: Int) -> [Float] {
      before.changed {
        Embedding.backward(
          dx, tokens: Self.tokens, positions: Self.positions, dwords: $0, dplaces: $0 + 7 * width, width: width,
          compute(.auto, threads: threads))
      }
    }
    let result = gradients(threads: 2)
    #expect(sameBits(result, gradients(threads: 1)))
    let expected = finiteDifferences(at: noise(11 * width, seed: 5)) { tables in
      weighted(
        zip(Self.tokens, Self.positions).flatMap { token, position in
          (0..<width).map { tables[Int(token) * width + $0] + tables[(7 + position) * width + $0] }
        }, dx)
    }
    #expect(largestError(zip(result, before).map { $0 - $1 }, expected) < 1e-5)
  }
}
