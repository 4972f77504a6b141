/// What a tensor of the model's own files becomes in a GGUF file.
package enum GGUFChange: Sendable, Equatable {
  case none
  /// [in, out] to [out, in].
  case transpose
  /// In each of `heads` heads, rows i and i + half become 2i and 2i + 1.
  case interleave(heads: Int)
  /// One more: a norm's weight that is stored less one.
  case addOne

  /// Where row `row` of a GGUF file's tensor of `rows` rows comes from in the model's own files.
  package static func interleavedSource(_ row: Int, rows: Int, heads: Int) -> Int {
    let width = rows / heads
    let (head, place) = (row / width, row % width)
    return head * width + place % 2 * (width / 2) + place / 2
  }

  /// Where row `row` of the model's own files is in a GGUF file's tensor: the way back.
  package static func interleavedPlace(_ row: Int, rows: Int, heads: Int) -> Int {
    let width = rows / heads
    let (head, place) = (row / width, row % width)
    return head * width + place % (width / 2) * 2 + place / (width / 2)
  }
}

extension GGUFArchitecture {
  /// What becomes of a tensor of a model of this architecture.
  package func change(_ tensor: TensorSpecification, _ configuration: ModelConfiguration) -> GGUFChange {
    switch tensor.role {
    case .norm(_, .weight), .finalNorm(.weight):
      return configuration.norm == .rms(unitOffset: true) ? .addOne : .none
    case .linear(let kind, let parameter):
      if let heads = interleavedHeads(kind, configuration) { return .interleave(heads: heads) }
      return parameter == .weight && tensor.orientation == .inputsByOutputs ? .transpose : .none
    default: return .none
    }
  }

  /// How many heads' rows change places in what a linear of this kind puts out; nil for none.
  package func interleavedHeads(_ kind: TensorRole.BlockLinear, _ configuration: ModelConfiguration) -> Int? {
    guard rotatesNeighbours else { return nil }
    return switch kind {
    case .query: configuration.heads
    case .key: configuration.keyValueHeads
    default: nil
    }
  }
}
