import Glibc

/// Float memory that is reused from step to step: it grows and never shrinks, and is aligned to a page.
public final class FloatBuffer {
  public private(set) var pointer: MutableFloats
  public private(set) var capacity: Int

  public init(_ capacity: Int = 0) {
    self.capacity = capacity
    pointer = Self.allocate(capacity)
  }

  deinit { Self.deallocate(pointer, capacity) }

  /// Makes room for `count` floats; what was there is lost where it grows. Fresh memory is zero.
  @discardableResult
  public func ensure(_ count: Int) -> MutableFloats {
    if count > capacity {
      Self.deallocate(pointer, capacity)
      // A little more than asked for, so that batches of slightly different sizes do not reallocate each time.
      capacity = count + count / 16
      pointer = Self.allocate(capacity)
    }
    return pointer
  }

  /// Straight from the system: zero, and not resident before it is written to.
  private static func allocate(_ count: Int) -> MutableFloats {
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    guard let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      memory != MAP_FAILED
    else { preconditionFailure("out of memory: \(bytes) bytes could not be had") }
    adviseLargePages(memory, bytes)
    return memory.bindMemory(to: Float.self, capacity: max(count, 1))
  }

  private static let largePage = 1 << 21

  /// Large pages spare the processor most of its look-ups of addresses. Asked for only where they lie within the memory as a
  /// whole: part of one would take the memory of all of it.
  private static func adviseLargePages(_ memory: UnsafeMutableRawPointer, _ bytes: Int) {
    let start = (Int(bitPattern: memory) + largePage - 1) / largePage * largePage
    let end = (Int(bitPattern: memory) + bytes) / largePage * largePage
    if start < end { madvise(UnsafeMutableRawPointer(bitPattern: start), end - start, MADV_HUGEPAGE) }
  }

  private static func deallocate(_ pointer: MutableFloats, _ count: Int) {
    munmap(pointer, max(count, 1) * MemoryLayout<Float>.stride)
  }
}
