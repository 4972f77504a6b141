import Kernels
import Models
import Testing
import Training

/// The parameters as they are dealt out to ranks.
@Suite struct ParameterDivisionTests {
  /// GPT-2's 124M in chunks, an adapter's, and fewer than there are ranks.
  @Test(arguments: [124_439_808, 2_359_296, 200_000, 5, 1], [1, 2, 3, 4, 64])
  func `Every parameter is one rank's, and all ranks have as many`(_ count: Int, _ ranks: Int) {
    let chunk = 1 << 15
    let division = ParameterDivision(count: count, ranks: ranks, cuts: Array(stride(from: 0, to: count, by: chunk)))
    var next = 0
    for slice in division.slices {
      #expect(slice.lowerBound == next && (slice.upperBound == count || slice.upperBound % chunk == 0))
      next = slice.upperBound
    }
    #expect(next == count)
    let sizes = (0..<ranks).map { division.slices(of: $0).reduce(0) { $0 + $1.count } }
    #expect(sizes.reduce(0, +) == count)
    let largest = division.slices.map(\.count).max() ?? 0
    #expect(largest <= 1 << 20 + 1 << 16)
    // Of what is large each rank has several slices, so that it has some of every part of the model.
    if count > ranks << 20 {
      #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= largest + 8 * chunk)
      #expect((0..<ranks).allSatisfy { division.numbers(of: $0).count > 1 })
    }
    for rank in 0..<ranks { #expect(division.numbers(of: rank).allSatisfy { division.rank(of: $0) == rank }) }
  }

  @Test func `Pieces of the norm are not cut where chunks allow it`() {
    let division = ParameterDivision(
      count: 20_000_000, ranks: 2, cuts: Array(stride(from: 0, to: 20_000_000, by: Elementwise.squarePiece / 2)))
    #expect(division.slices.count > 2)
    #expect(division.slices.allSatisfy { $0.lowerBound % Elementwise.squarePiece == 0 })
  }

  /// Of tensors of any size, in 8 bits too, what is updated as a whole is one rank's.
  @Test(arguments: [Optimizer.adamw, .adamw8bit], [true, false])
  func `Nothing that is updated as a whole is cut`(_ optimizer: Optimizer, _ decaysMatricesOnly: Bool) {
    var offset = 0
    let tensors = [[77, 1000], [4095], [300, 333], [5], [1 << 17]].map { shape in
      defer { offset += shape.reduce(1, *) }
      return ParameterTensor(name: "t\(offset)", shape: shape, offset: offset)
    }
    let state = OptimizerState(optimizer, tensors, decaysMatricesOnly: decaysMatricesOnly)
    for ranks in 1...5 {
      let division = ParameterDivision(count: state.count, ranks: ranks, cuts: state.cuts)
      let chunks = (0..<ranks).map { state.chunks(in: division.slices(of: $0)) }
      #expect(chunks.joined().sorted() == Array(state.cuts.indices))
      #expect(division.slices.allSatisfy { $0.isEmpty || state.cuts.contains($0.lowerBound) })
      let bytes = (0..<ranks).map { division.slices(of: $0).flatMap(state.memory).reduce(0) { $0 + $1.count } }
      #expect(bytes.reduce(0, +) == state.memory.reduce(0) { $0 + $1.count })
    }
  }
}
