import Core
import Files
import Hub
import TestSupport
import Testing

@Suite struct HubCacheTests {
  @Test func namesAreThoseThatTheHubAllows() {
    for name in ["gpt2", "org/name", "a-b_c.d/E.1"] { #expect(HubName(.model, name)?.text == name) }
    for name in ["", "/", "a/", "/a", "a/b/c", "../a", "a..b", "a--b", "-a", ".a", "a b", "a/é", "a:b"] {
      #expect(HubName(.dataset, name) == nil, "\(name)")
    }
    #expect(HubName(.dataset, "org/name")?.folder == "datasets--org--name")
    #expect(HubName(.model, "gpt2")?.folder == "models--gpt2")
  }

  @Test func placesAreAskedForInOrder() {
    func folder(_ variables: [String: String]) -> String? { HubCache { variables[$0] }?.folder }
    #expect(folder([:]) == nil)
    #expect(folder(["HOME": "/h"]) == "/h/.cache/huggingface/hub")
    #expect(folder(["HOME": "/h", "XDG_CACHE_HOME": "/x"]) == "/x/huggingface/hub")
    #expect(folder(["HOME": "/h", "XDG_CACHE_HOME": "/x", "HF_HOME": "/f"]) == "/f/hub")
    #expect(folder(["HF_HOME": "/f", "HF_HUB_CACHE": "/c"]) == "/c")
    #expect(folder(["HF_HOME": "", "HOME": "/h"]) == "/h/.cache/huggingface/hub")
  }

  @Test func theReferenceNamesTheSnapshot() throws {
    try withTemporaryFolder { (folder: String) throws -> Void in
      let cache = try #require(HubCache { $0 == "HF_HUB_CACHE" ? folder : nil })
      let name = try #require(HubName(.dataset, "org/name"))
      #expect(try cache.snapshot(of: name) { _ in true } == nil)
      let place = cache.path(of: name)
      for hash in ["aa", "bb"] {
        try createDirectory(place + "/snapshots/" + hash)
        try writeAtomically([UInt8](), to: place + "/snapshots/\(hash)/data.jsonl")
      }
      try createDirectory(place + "/refs")
      try writeAtomically(Array("aa\n".utf8), to: place + "/refs/main")
      #expect(try cache.snapshot(of: name) { _ in true } == place + "/snapshots/aa")
      #expect(try cache.snapshot(of: name) { $0.hasSuffix("bb") } == place + "/snapshots/bb")
      #expect(try cache.snapshot(of: name) { _ in false } == nil)
      try writeAtomically(Array("../../x\n".utf8), to: place + "/refs/main")
      #expect(throws: SFTError.self) { try cache.snapshot(of: name) { _ in true } }
    }
  }
}
