import Core
import Files

/// A read-only float32 tensor, row-major: a view of a mapped file or of someone's memory, which it keeps alive, or memory
/// of its own.
public final class FloatTensor: Sendable {
  /// Sizes, outermost first.
  public let shape: [Int]
  /// Number of elements.
  public let count: Int
  /// `count` values, valid for as long as this object lives: keep the object, not only the pointer.
  public nonisolated(unsafe) let pointer: UnsafePointer<Float>
  private nonisolated(unsafe) let storage: Storage

  private enum Storage {
    case mapped(MappedFile)
    /// Whoever owns the memory.
    case shared(AnyObject)
    case own
  }

  /// A view of `shape` at `pointer`, which lies in `mapping`.
  init(viewing pointer: UnsafePointer<Float>, shape: [Int], of mapping: MappedFile) {
    self.shape = shape
    self.pointer = pointer
    storage = .mapped(mapping)
    count = shape.reduce(1, *)
  }

  /// A view of `shape` at `pointer`, in memory that `owner` keeps. Whoever writes there does so while nobody reads.
  public init(viewing pointer: UnsafePointer<Float>, shape: [Int], keptBy owner: AnyObject) {
    self.shape = shape
    self.pointer = pointer
    storage = .shared(owner)
    count = shape.reduce(1, *)
  }

  /// Memory of its own (64-byte aligned), filled by `fill`, which must set every element.
  public init(shape: [Int], _ fill: (UnsafeMutableBufferPointer<Float>) throws -> Void) rethrows {
    guard let count = checkedProduct(shape), count <= Int.max / 4 else {
      preconditionFailure("a tensor of shape \(shape) cannot be")
    }
    let memory = allocateAligned(bytes: count * 4)
    let values = UnsafeMutableBufferPointer(start: memory.bindMemory(to: Float.self, capacity: count), count: count)
    do {
      try fill(values)
    } catch {
      memory.deallocate()
      throw error
    }
    self.shape = shape
    self.count = count
    pointer = UnsafePointer(memory.assumingMemoryBound(to: Float.self))
    storage = .own
  }

  deinit {
    if case .own = storage { UnsafeMutableRawPointer(mutating: pointer).deallocate() }
  }

  /// Whether the values lie in the mapped file and take no memory of their own.
  public var isView: Bool { if case .mapped = storage { true } else { false } }

  /// Gives resident pages of a mapped file back, of all values or those of some outermost rows; they are read again when
  /// they are next looked at.
  public func releasePages(rows: Range<Int>? = nil) {
    guard isView else { return }
    let width = count / max(1, shape.first ?? 1)
    let range = rows.map { $0.lowerBound * width..<$0.upperBound * width } ?? 0..<count
    withValues {
      adviseMapped(
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0)[range.lowerBound * 4..<range.upperBound * 4]),
        .dontNeed)
    }
  }

  /// This tensor; where it is a view of at most `bytes` of a mapped file, copied to memory of its own, and the mapped pages
  /// given back.
  ///
  /// Around each value that is looked at, a kernel maps 64 KB of the file, or 2 MB where it holds it in large pages: small
  /// tensors spread over a file then keep a hundred times their size resident.
  public func detached(upTo bytes: Int) -> FloatTensor {
    guard case .mapped(let file) = storage, count * 4 <= bytes else { return self }
    let copy = FloatTensor(shape: shape) { copy in withValues { _ = copy.update(fromContentsOf: $0) } }
    let start = file.bytes.baseAddress.map { UnsafeRawPointer(pointer) - $0 } ?? 0
    let around = 1 << 16
    file.advise(max(0, start - around)..<min(file.count, start + count * 4 + around), .dontNeed)
    return copy
  }

  /// All values, valid during `body`.
  public func withValues<Result>(_ body: (UnsafeBufferPointer<Float>) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(self) { try body(UnsafeBufferPointer(start: pointer, count: count)) }
  }

  /// A copy of all values.
  public var array: [Float] { withValues { Array($0) } }
}
