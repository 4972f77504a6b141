import Files
import Testing

@Suite struct SealedTextTests {
  private let text = Array(#"{"a":"x","checksum":"\#(Digest.zero.hex)","files":[1,2]}"#.utf8)

  @Test func anyChangedBitIsNoticed() throws {
    let sealed = try #require(SealedText.seal(text))
    let parts = String(decoding: sealed, as: UTF8.self).split(separator: "\"")
    let checksum = try #require(parts.lazy.compactMap { Digest(hex: String($0)) }.first)
    #expect(SealedText.isIntact(sealed, checksum))
    for place in sealed.indices {
      for bit in 0..<8 {
        var changed = sealed
        changed[place] ^= 1 << bit
        #expect(!SealedText.isIntact(changed, checksum))
      }
    }
  }

  @Test func aTextWithoutAPlaceIsNotSealed() { #expect(SealedText.seal(Array("{}".utf8)) == nil) }
}
