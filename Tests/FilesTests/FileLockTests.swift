import Core
import Dispatch
import Files
import Glibc
import Synchronization
import Testing

@Suite struct FileLockTests {
  @Test func exclusiveExcludesAndSharedShares() throws {
    let folder = try TemporaryFolder()
    let path = folder("a.lock")
    do {
      let first = try #require(try FileLock.attempt(path, .shared))
      let second = try #require(try FileLock.attempt(path, .shared))
      #expect(try FileLock.attempt(path, .exclusive) == nil)
      withExtendedLifetime((first, second)) {}
    }
    let exclusive = try FileLock(path, .exclusive)
    #expect(try FileLock.attempt(path, .shared) == nil)
    withExtendedLifetime(exclusive) {}
  }

  @Test func aWaiterIsToldAndGetsTheNewFile() throws {
    let folder = try TemporaryFolder()
    let path = folder("a.lock")
    let held = Mutex<FileLock?>(try FileLock(path, .exclusive))
    DispatchQueue.global().asyncAfter(deadline: .now() + 1.3) {
      held.withLock { lock in
        lock?.removeFile()
        lock = nil
      }
    }
    let notices = Atomic<Int>(0)
    let mine = try FileLock(path, .exclusive) { notices.add(1, ordering: .relaxed) }
    #expect(notices.load(ordering: .relaxed) == 1)
    #expect(try FileLock.attempt(path, .exclusive) == nil)
    withExtendedLifetime(mine) {}
  }

  @Test func onlyOneThreadIsInside() throws {
    let folder = try TemporaryFolder()
    let path = folder("a.lock")
    let inside = Atomic<Int>(0)
    let clashes = Atomic<Int>(0)
    let entered = Atomic<Int>(0)
    let group = DispatchGroup()
    for index in 0..<20 {
      // A queue each: a shared one may run them one after the other.
      DispatchQueue(label: "locker \(index)").async(group: group) {
        guard let lock = try? FileLock(path, .exclusive) else { return }
        if inside.add(1, ordering: .sequentiallyConsistent).newValue != 1 { clashes.add(1, ordering: .relaxed) }
        usleep(500)
        inside.subtract(1, ordering: .sequentiallyConsistent)
        entered.add(1, ordering: .relaxed)
        if index % 2 == 0 { lock.removeFile() }
      }
    }
    group.wait()
    #expect(entered.load(ordering: .relaxed) == 20)
    #expect(clashes.load(ordering: .relaxed) == 0)
  }

  @Test func aMissingFolderIsNotCreated() throws {
    let folder = try TemporaryFolder()
    let error = #expect(throws: SFTError.self) { try FileLock(folder("none"), .shared, .existing) }
    #expect(error?.kind == .notFound)
    #expect(try !fileExists(folder("none")))
  }
}
