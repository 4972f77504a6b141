import Core
import Glibc

/// Float memory that is reused from step to step: it grows and never shrinks, and is aligned to a page.
public final class FloatBuffer {
  public private(set) var pointer: MutableFloats
  public private(set) var capacity: Int
  /// The most floats that were asked for: those that may have been written to.
  public private(set) var requested: Int
  private var usesLargePages = false

  public init(_ capacity: Int = 0) {
    self.capacity = capacity
    requested = capacity
    pointer = Self.allocate(capacity)
  }

  deinit { Self.deallocate(pointer, capacity) }

  /// Makes room for `count` floats; what was there is lost where it grows. Fresh memory is zero.
  @discardableResult
  public func ensure(_ count: Int) -> MutableFloats {
    requested = max(requested, count)
    if count > capacity {
      Self.deallocate(pointer, capacity)
      // A little more than asked for, so that batches of slightly different sizes do not reallocate each time.
      capacity = count + count / 16
      pointer = Self.allocate(capacity)
      if usesLargePages { adviseLargePages() }
    }
    return pointer
  }

  /// Straight from the system: zero, and not resident before it is written to.
  private static func allocate(_ count: Int) -> MutableFloats {
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    guard let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      memory != MAP_FAILED
    else { Shortage.ofMemory(bytes) }
    return memory.bindMemory(to: Float.self, capacity: max(count, 1))
  }

  private static let largePage = 1 << 21

  /// Large pages spare the processor most of its look-ups of addresses. Worth it where most of the memory is written: a
  /// large page of which part is, takes the memory of all of it.
  public func useLargePages() {
    usesLargePages = true
    adviseLargePages()
  }

  /// Asks the kernel for large pages, of which only such as lie wholly within the memory.
  private func adviseLargePages() {
    let address = Int(bitPattern: pointer)
    let start = (address + Self.largePage - 1) / Self.largePage * Self.largePage
    let end = (address + capacity * MemoryLayout<Float>.stride) / Self.largePage * Self.largePage
    if start < end { madvise(UnsafeMutableRawPointer(bitPattern: start), end - start, MADV_HUGEPAGE) }
  }

  private static func deallocate(_ pointer: MutableFloats, _ count: Int) {
    munmap(pointer, max(count, 1) * MemoryLayout<Float>.stride)
  }
}
