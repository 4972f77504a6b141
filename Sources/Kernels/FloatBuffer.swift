import CKernels
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

  /// Makes room for `count` floats. What was there may be lost where it grows; what it grows by is zero, and not resident before
  /// it is written to.
  @discardableResult
  public func ensure(_ count: Int) -> MutableFloats {
    requested = max(requested, count)
    if count > capacity {
      // A little more than asked for, so that batches of slightly different sizes do not reallocate each time.
      grow(to: count + count / 16)
    }
    return pointer
  }

  /// Pages move as they are: giving them back and having others cleared takes longer than a small product. Memory of which the
  /// kernel was asked for large pages is more than one mapping to it, and those do not move together.
  private func grow(to larger: Int) {
    if usesLargePages {
      Self.deallocate(pointer, capacity)
      pointer = Self.allocate(larger)
    } else {
      guard let moved = sft_resize_mapping(pointer, Self.bytes(capacity), Self.bytes(larger)) else {
        Shortage.ofMemory(Self.bytes(larger))
      }
      pointer = moved.bindMemory(to: Float.self, capacity: larger)
    }
    capacity = larger
    if usesLargePages { adviseLargePages() }
  }

  /// Straight from the system: zero, and not resident before it is written to.
  private static func allocate(_ count: Int) -> MutableFloats {
    let bytes = bytes(count)
    guard let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      memory != MAP_FAILED
    else { Shortage.ofMemory(bytes) }
    return memory.bindMemory(to: Float.self, capacity: max(count, 1))
  }

  private static func bytes(_ count: Int) -> Int { max(count, 1) * MemoryLayout<Float>.stride }

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
    munmap(pointer, bytes(count))
  }
}
