import Core
import Files
import Glibc
import Testing
import Weights

@Suite struct ModelFolderTests {
  private let hub: TemporaryFolder

  init() throws { hub = try TemporaryFolder() }

  private func resolve(_ name: String, _ environment: [String: String]? = nil) throws -> String {
    let environment = environment ?? ["HF_HUB_CACHE": hub.path, "HF_HOME": "/nowhere", "HOME": "/nowhere"]
    return try ModelFolder.resolve(name) { environment[$0] }
  }

  /// A snapshot as the hub's client makes it: a link into the blobs.
  private func addSnapshot(_ model: String, _ hash: String, in folder: String = "") throws {
    let blob = try hub.write("\(folder)\(model)/blobs/\(hash)", "{}")
    let snapshot = "\(hub.path)/\(folder)\(model)/snapshots/\(hash)"
    try createDirectory(snapshot)
    #expect(symlink(blob, snapshot + "/config.json") == 0)
  }

  @Test func folderAsGiven() throws {
    try hub.write("my model/config.json", "{}")
    #expect(try resolve(hub.path + "/my model") == hub.path + "/my model")
  }

  @Test func mainSnapshotOfTheCache() throws {
    try addSnapshot("models--org--name", "aaaa")
    try addSnapshot("models--org--name", "bbbb")
    try hub.write("models--org--name/refs/main", "aaaa\n")
    #expect(try resolve("org/name") == hub.path + "/models--org--name/snapshots/aaaa")
    try addSnapshot("models--gpt2", "cc", in: "hub/")
    #expect(try resolve("gpt2", ["HF_HOME": hub.path]) == hub.path + "/hub/models--gpt2/snapshots/cc")
    try addSnapshot("models--gpt2", "dd", in: ".cache/huggingface/hub/")
    #expect(
      try resolve("gpt2", ["HOME": hub.path, "HF_HUB_CACHE": ""])
        == hub.path + "/.cache/huggingface/hub/models--gpt2/snapshots/dd")
  }

  @Test func newestSnapshotWithoutReference() throws {
    try addSnapshot("models--m", "bb")
    try addSnapshot("models--m", "aa")
    try createDirectory(hub.path + "/models--m/snapshots/zz")
    var times = [timespec(tv_sec: 2_000_000_000, tv_nsec: 0), timespec(tv_sec: 2_000_000_000, tv_nsec: 0)]
    #expect(utimensat(AT_FDCWD, hub.path + "/models--m/snapshots/aa", &times, 0) == 0)
    #expect(try resolve("m").hasSuffix("/snapshots/aa"))
  }

  @Test func referenceThatLeadsElsewhere() throws {
    try addSnapshot("models--m", "aa")
    for text in ["../../..", "/etc", "", "zz"] {
      try hub.write("models--m/refs/main", text)
      #expect(failure { _ = try resolve("m") }?.kind == .badData)
    }
  }

  @Test func notFoundNamesBothPlaces() throws {
    let error = failure { _ = try resolve("org/none") }
    #expect(error?.kind == .notFound)
    #expect(error?.message.contains("there is no folder 'org/none'") == true)
    #expect(error?.message.contains(hub.path + "/models--org--none") == true)
  }

  /// Where something is there, the cache is not spoken of.
  @Test func aFolderWithoutAConfigurationAndAFileAreNamed() throws {
    let file = try hub.write("m/model.safetensors", "x")
    let folder = failure { _ = try resolve(hub.path + "/m") }
    #expect(folder?.kind == .notFound && folder?.file == hub.path + "/m")
    #expect(folder?.message == "the folder has no config.json, so it is not a model's")
    let weights = failure { _ = try resolve(file) }
    #expect(weights?.kind == .notFound && weights?.file == file)
    #expect(weights?.advice == "Give the folder that it is in: \(hub.path)/m")
    for place in [".", "..", "/"] { #expect(failure { _ = try resolve(place) }?.kind == .notFound) }
  }

  @Test(arguments: ["../none-of-that-name", "a/../b", "a/b/c", "a--b/c", "~/x", "a b", "a/", "/a", "-a", "é", "a\0b"])
  func oddNames(name: String) {
    let error = failure { _ = try resolve(name) }
    #expect(error?.kind == .notFound)
    #expect(error?.message.contains("it is not a name such as gpt2 or org/name") == true)
  }

  @Test func emptyName() {
    #expect(failure { _ = try resolve("") }?.kind == .usage)
  }
}
