import CKernels
import Core
import Glibc

/// Numbers of logical CPUs, ascending, each once; written as the kernel and Slurm write them, "0-3,8".
package struct CPUSet: Sendable, Equatable, Hashable, CustomStringConvertible {
  /// The highest number that is taken for one: eight times what Linux can be built for.
  package static let highestNumber = (1 << 16) - 1

  package let numbers: [Int]

  /// Numbers outside 0 ... `highestNumber` are left out.
  package init(_ numbers: some Sequence<Int> = []) {
    self.numbers = Set(numbers.filter { (0...Self.highestNumber).contains($0) }).sorted()
  }

  /// "0-3,8,10-11", perhaps with a line end after it; an empty text is the empty set. nil for anything else: words, signs, ranges
  /// that run backwards, numbers above `highestNumber`.
  package init?(list text: String) {
    let trimmed = text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()
    var numbers: [Int] = []
    for part in String(trimmed).split(separator: ",", omittingEmptySubsequences: false) where !trimmed.isEmpty {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map(Self.number)
      guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], first <= last else { return nil }
      // Not even a list that names every CPU many times may take memory without end.
      guard numbers.count + (last - first) < 2 * Self.highestNumber else { return nil }
      numbers += first...last
    }
    self.init(numbers)
  }

  /// Digits only: `Int` would take a sign.
  private static func number(_ text: Substring) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else { return nil }
    return Int(text).flatMap { $0 <= highestNumber ? $0 : nil }
  }

  package var count: Int { numbers.count }
  package var isEmpty: Bool { numbers.isEmpty }

  package func intersection(_ other: CPUSet) -> CPUSet {
    let others = Set(other.numbers)
    return CPUSet(numbers.filter(others.contains))
  }

  package func union(_ other: CPUSet) -> CPUSet { CPUSet(numbers + other.numbers) }

  /// As `init(list:)` reads it.
  package var description: String {
    var ranges: [ClosedRange<Int>] = []
    for number in numbers {
      if let last = ranges.last, last.upperBound + 1 == number {
        ranges[ranges.count - 1] = last.lowerBound...number
      } else {
        ranges.append(number...number)
      }
    }
    return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
      .joined(separator: ",")
  }
}

extension CPUSet {
  /// The CPUs that the calling thread may run on, by its affinity mask; empty where the system does not say. On machines of any
  /// size.
  package static func allowed() -> CPUSet {
    var numbers = [Int32](repeating: 0, count: 1 << 10)
    var count = Int(sft_affinity(&numbers, Int32(numbers.count)))
    if count > numbers.count {
      numbers = [Int32](repeating: 0, count: count)
      count = min(count, Int(sft_affinity(&numbers, Int32(numbers.count))))
    }
    return CPUSet(numbers.prefix(count).map(Int.init))
  }

  /// Lets this process run on these CPUs only; throws where the system refuses, as with CPUs that are offline or outside its
  /// cpuset.
  ///
  /// Linux keeps a mask for each thread, which those it starts inherit. So this is to be called before there are others. Threads
  /// that exist already, such as a library's, are given the mask one by one. `CPUAllowance.current` is worked out when it is
  /// first asked for, and should not have been before.
  package func restrictProcess() throws {
    let error = sft_set_affinity(numbers.map(Int32.init), Int32(count))
    guard error == 0 else {
      throw SFTError(
        .inputOutput, "the process cannot be bound to the CPUs \(self): \(String(cString: strerror(error)))")
    }
  }
}
