import Files
import JSON
import Testing
import Tokenizing

/// Prepared data and runs know their tokenizer by its digest: one that changes without the tokenizer's doing would part them
/// from it. A digest in the list changes on purpose only, with what encoding gives.
@Suite struct DigestTests {
  private static let path = fixturePath("digests.json")

  private static let folders =
    fixtureNames + PipelineTests.names.map { "pipelines/" + $0 } + SentencePieceTests.names

  @Test(arguments: folders) func digestsStay(_ name: String) throws {
    let expected = try #require(try parseJSONFile(Self.path)[name]?.string)
    #expect(try fixture(name).digest.hex == expected, "\(name)")
  }

  @Test func noneIsListedTwiceOrInVain() throws {
    let members = try #require(try parseJSONFile(Self.path).object).members
    #expect(members.map(\.key).sorted() == Self.folders.sorted())
    #expect(Set(members.compactMap(\.value.string)).count == members.count)
  }
}
