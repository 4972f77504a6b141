import Core
import Dispatch
import Glibc
import Synchronization
import Testing

import Files

@Suite struct AtomicDirectoryTests {
  private func text(_ path: String) throws -> String { String(decoding: try readFile(path), as: UTF8.self) }

  @Test func createsAndReplaces() throws {
    let folder = try TemporaryFolder()
    let path = folder("a/out")
    for content in ["first", "second"] {
      try writeDirectoryAtomically(path + "/") { try writeAtomically(content, to: $0 + "/x") }
      #expect(try text(path + "/x") == content)
      #expect(try directoryEntries(folder("a")) == ["out"])
    }
  }

  @Test func failingBodyChangesNothing() throws {
    let folder = try TemporaryFolder()
    try writeDirectoryAtomically(folder("out")) { try writeAtomically("old", to: $0 + "/x") }
    #expect(throws: SFTError.self) {
      try writeDirectoryAtomically(folder("out")) {
        try writeAtomically("new", to: $0 + "/x")
        throw SFTError(.badData, "no")
      }
    }
    #expect(try text(folder("out/x")) == "old")
    #expect(try directoryEntries(folder.path) == ["out"])
  }

  /// Only those of processes that are gone, of this folder, and that nobody holds.
  @Test func whatAKilledProcessLeftIsRemoved() throws {
    let folder = try TemporaryFolder()
    let (gone, held) = (folder("out.tmp-2147483647-1"), folder("out.tmp-2147483647-2"))
    let others = ["other.tmp-2147483647-1", "out.old-2147483647-1", "out.tmp-\(getpid())-1", "out.tmp-x"].map {
      folder($0)
    }
    for path in [gone, held] + others { try createDirectory(path + "/inside") }
    let lock = try FileLock(held, .exclusive, .existing)
    try writeDirectoryAtomically(folder("out")) { temporary in
      let isFree = try FileLock.attempt(temporary, .exclusive, .existing) != nil
      #expect(!isFree)
    }
    withExtendedLifetime(lock) {}
    #expect(try !fileExists(gone))
    for path in [held] + others { #expect(try fileExists(path + "/inside"), "\(path)") }
  }

  /// What a reader sees at any instant is what a killed writer leaves.
  @Test func thereIsNoInstantWithoutTheFolder() throws {
    let folder = try TemporaryFolder()
    let path = folder("out")
    func write(_ round: Int) throws {
      try writeDirectoryAtomically(path) { try writeAtomically("\(round)", to: $0 + "/x") }
    }
    try write(0)
    let done = Atomic<Bool>(false)
    let misses = Atomic<Int>(0)
    let reader = DispatchGroup()
    DispatchQueue.global().async(group: reader) {
      while !done.load(ordering: .relaxed) {
        if (try? fileExists(path)) != true { misses.add(1, ordering: .relaxed) }
      }
    }
    defer {
      done.store(true, ordering: .relaxed)
      reader.wait()
    }
    for round in 1...100 { try write(round) }
    #expect(misses.load(ordering: .relaxed) == 0)
    #expect(try text(path + "/x") == "100")
  }

  @Test func withoutExchangeTheOldIsStillReplaced() throws {
    let folder = try TemporaryFolder()
    for name in ["out", "new"] {
      try createDirectory(folder(name))
      try writeAtomically(name, to: folder(name + "/x"))
    }
    try replaceDirectory(folder("out"), with: folder("new"), canExchange: false)
    #expect(try text(folder("out/x")) == "new")
    #expect(try directoryEntries(folder.path) == ["out"])
  }

  @Test func replacesWhatALinkPointsTo() throws {
    let folder = try TemporaryFolder()
    try createDirectory(folder("real"))
    try writeAtomically("old", to: folder("real/x"))
    #expect(symlink(folder("real"), folder("link")) == 0)
    try writeDirectoryAtomically(folder("link")) { try writeAtomically("new", to: $0 + "/x") }
    #expect(try text(folder("real/x")) == "new")
    #expect(try directoryEntries(folder.path) == ["link", "real"])
  }

  @Test func aFileInTheWayCannotBeReplaced() throws {
    let folder = try TemporaryFolder()
    try writeAtomically("precious", to: folder("out"))
    for path in ["out", "out/below"] {
      let error = #expect(throws: SFTError.self) { try writeDirectoryAtomically(folder(path)) { _ in } }
      #expect(error?.kind == .cannotCreate)
    }
    #expect(try text(folder("out")) == "precious")
  }
}

@Suite struct TemporaryNameTests {
  @Test func saysWhoseItIs() throws {
    let name = try #require(TemporaryName(TemporaryName.make(beside: "/w/runs/my-run", .replaced)))
    #expect(name.base == "/w/runs/my-run" && name.role == .replaced && name.process == getpid())
    #expect(!name.isAbandoned)
    #expect(TemporaryName("x.tmp-2147483647-7")?.isAbandoned == true)
  }

  @Test(arguments: ["x", "x.tmp-", "x.tmp-1", "x.tmp-a-1", "x-1-1", "x.tmp-0-1", "x.tmp--1-1", "x.tmp-1-1.old"])
  func otherNamesAreNotTemporary(_ name: String) { #expect(TemporaryName(name) == nil) }
}
