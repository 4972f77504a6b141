import Core
import JSON
import TestSupport
import Testing
import Weights

/// Rotary frequencies against transformers'.
@Suite struct RotaryConfigurationTests {
  static let names = [
    "llama3.2-1b", "llama3.1-8b", "linear", "dynamic@2048", "qwen2.5-yarn", "yarn-mscale", "phi-longrope-short",
    "phi4-mini-partial",
  ]

  private static func cases() throws -> JSONValue { try parseJSONFile(fixturesFolder + "/rope.json") }

  @Test func everyCaseIsHere() throws {
    #expect(try Self.cases().object?.members.map(\.key).sorted() == Self.names.sorted())
  }

  @Test(arguments: names) func frequenciesAreTransformers(_ name: String) throws {
    let expected = try #require(try Self.cases()[name])
    let configuration = try ModelConfiguration(try #require(expected["config"]?.object), path: "config.json")
    let rotary = try #require(configuration.rotaries.first)
    let frequencies = expected["inv_freq"]?.array?.compactMap(\.double) ?? []
    #expect(configuration.rotaries.count == 1 && rotary.width == 2 * frequencies.count)
    #expect(rotary.frequencies.count == frequencies.count && !frequencies.isEmpty)
    for (own, theirs) in zip(rotary.frequencies, frequencies) { #expect(relativeError(Double(own), theirs) < 1e-6) }
    #expect(relativeError(rotary.amplitude, try #require(expected["attention_factor"]?.double)) < 1e-7)
    #expect(configuration.blocks.allSatisfy { $0.rotary == 0 })
  }

  /// LongRoPE chooses by length beyond the original context, so that is where sequences end.
  @Test func longRoPEEndsAtTheOriginalContext() throws {
    for (name, length) in [("phi-longrope-short", 4096), ("qwen2.5-yarn", 131072), ("dynamic@2048", 2048)] {
      let object = try #require(try Self.cases()[name]?["config"]?.object)
      #expect(try ModelConfiguration(object, path: "config.json").contextLength == length)
    }
  }
}
