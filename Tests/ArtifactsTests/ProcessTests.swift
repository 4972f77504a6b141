import Core
import Files
import Glibc
import Testing

import Artifacts

/// Set in a process that a test started: the folder it works in.
private let childFolder = getenv("SFT_TEST_CHILD").map { String(cString: $0) }

/// Starts this test binary again to run only `ChildProcess`.
private func startChild(_ folder: String) throws -> pid_t {
  let program = try #require(canonicalPath("/proc/self/exe"))
  let arguments = [program, "--testing-library", "swift-testing", "--filter", "ChildProcess"]
  var argv = arguments.map { strdup($0) } + [nil]
  var variables: [UnsafeMutablePointer<CChar>?] = [strdup("SFT_TEST_CHILD=" + folder)]
  var next = environ
  while let variable = next.pointee {
    variables.append(strdup(variable))
    next += 1
  }
  variables.append(nil)
  defer { for pointer in argv + variables { free(pointer) } }
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
  defer { posix_spawn_file_actions_destroy(&actions) }
  var child: pid_t = 0
  try #require(posix_spawn(&child, program, &actions, nil, &argv, &variables) == 0)
  return child
}

private func wait(for file: String) throws {
  for _ in 0..<3000 where try !fileExists(file) { usleep(10_000) }
  try #require(try fileExists(file), "the child did not start")
}

/// Appends a line to `FOLDER/log`, which counts bodies over all processes.
private func log(_ folder: String) {
  let descriptor = open(folder + "/log", O_WRONLY | O_CREAT | O_APPEND, 0o600)
  write(descriptor, "x", 1)
  close(descriptor)
}

@Suite(.enabled(if: childFolder != nil)) struct ChildProcess {
  @Test func builds() throws {
    let folder = try #require(childFolder)
    _ = try ArtifactStore(workspace: folder + "/.sft").artifact(key()) { writer in
      log(folder)
      let summary = try Workspace.write(writer)
      try writeAtomically("", to: folder + "/started")
      for _ in 0..<1000 where try !fileExists(folder + "/go") { usleep(10_000) }
      return summary
    }
  }
}

@Suite(.enabled(if: childFolder == nil)) struct ProcessTests {
  @Test func twoProcessesBuildOnce() throws {
    let workspace = try Workspace()
    let child = try startChild(workspace.path)
    try wait(for: workspace.path + "/started")
    let second = try startChild(workspace.path)
    usleep(100_000)
    try writeAtomically("", to: workspace.path + "/go")
    let artifact = try workspace.make(key())
    for process in [child, second] {
      var status: Int32 = 0
      waitpid(process, &status, 0)
      #expect(status == 0)
    }
    #expect(artifact.reused && workspace.builds == 0)
    #expect(try readFile(workspace.path + "/log").count == 1)
  }

  @Test(arguments: [true, false]) func aKilledBuilderIsForgotten(_ collecting: Bool) throws {
    let workspace = try Workspace()
    let child = try startChild(workspace.path)
    try wait(for: workspace.path + "/started")
    #expect(workspace.names("artifacts/tokenised").count == 1)
    #expect(try workspace.store.collect(references: [:]).isEmpty, "it lives")
    kill(child, SIGKILL)
    waitpid(child, nil, 0)
    if collecting {
      #expect(try workspace.store.collect(references: [:]).map(\.kind) == [.leftover])
      #expect(workspace.names("artifacts/tokenised").isEmpty && workspace.names("locks").isEmpty)
    } else {
      #expect(try workspace.make(key()).origin == .built)
      #expect(workspace.names("artifacts/tokenised") == [key().reference.folderName])
    }
  }
}

/// A file system of its own, where this process may mount one.
private final class TinyDisk {
  let path: String

  init?(_ size: String) throws {
    path = "/tmp/sft-disk-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try createDirectory(path)
    guard mount("none", path, "tmpfs", 0, "size=" + size) == 0 else {
      try removeTree(path)
      return nil
    }
  }

  func makeReadOnly() {
    #expect(mount("none", path, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), nil) == 0)
  }

  deinit {
    umount2(path, Int32(MNT_DETACH))
    rmdir(path)
  }
}

@Suite struct FailingDiskTests {
  @Test func aFullDiskIsReportedAndLeavesNothing() throws {
    guard let disk = try TinyDisk("64k") else { return }
    let store = ArtifactStore(workspace: disk.path + "/.sft")
    let error = #expect(throws: SFTError.self) {
      try store.artifact(key(), Summary.self) { try Workspace.write($0) }
    }
    #expect(error?.kind == .inputOutput && error?.advice?.contains("space") == true)
    #expect(try directoryEntries(store.artifactsPath + "/tokenised").isEmpty)
    #expect(try store.artifact(key()) { _ in 7 }.summary == 7)
    #expect(throws: SFTError.self) {
      try store.artifact(key(length: 3)) { _ in String(repeating: "summary ", count: 20_000) }
    }
    #expect(try directoryEntries(store.artifactsPath + "/tokenised").count == 1)
  }

  @Test func aReadOnlyWorkspaceCanBeReadButNotWritten() throws {
    guard let disk = try TinyDisk("1m") else { return }
    let store = ArtifactStore(workspace: disk.path + "/.sft")
    _ = try store.artifact(key()) { try Workspace.write($0) }
    disk.makeReadOnly()
    #expect(try store.artifact(key()) { try Workspace.write($0) }.reused)
    let error = #expect(throws: SFTError.self) { try store.artifact(key(length: 2)) { try Workspace.write($0) } }
    #expect(error?.kind == .cannotCreate)
    #expect(try store.cachedDigest(identity: "a") { Digest(of: "a") } == Digest(of: "a"))
  }

  @Test(arguments: [".sft", ".sft/artifacts", ".sft/artifacts/tokenised", ".sft/locks"])
  func aFileInTheWayIsReported(_ place: String) throws {
    let workspace = try Workspace()
    try createDirectory(parentPath(workspace.path + "/" + place))
    try writeAtomically("precious", to: workspace.path + "/" + place)
    let error = #expect(throws: SFTError.self) { try workspace.make(key()) }
    #expect(error?.kind == .cannotCreate)
    #expect(workspace.builds == 0)
    #expect(try readFile(workspace.path + "/" + place).count == 8)
  }
}
