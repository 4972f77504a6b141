import Kernels

/// What a computation takes of one of its owner's buffers. The same list sizes the buffers and says beforehand what they will
/// take.
struct BufferNeed<Owner> {
  /// nil where the owner does without it.
  var buffer: (Owner) -> FloatBuffer?
  /// Floats that there is room made for.
  var count: Int
  /// Floats that are written to, of `count`, and are thereby in memory.
  var touched: Int

  init(_ count: Int, touched: Int? = nil, _ buffer: @escaping (Owner) -> FloatBuffer?) {
    (self.count, self.touched, self.buffer) = (count, touched ?? count, buffer)
  }

  func allocate(_ owner: Owner) { buffer(owner)?.ensure(count) }
}

/// How many rows a batch takes through a block: all of them, and those that are wanted after its attention.
struct BlockRows: Hashable {
  var rows: Int
  var outputs: Int
}
