import Core
import JSON
import TestSupport
import Testing
import Weights

/// Rotary frequencies against transformers'.
@Suite struct RotaryConfigurationTests {
  static let names = [
    "llama3.2-1b", "llama3.1-8b", "linear", "dynamic@2048", "qwen2.5-yarn", "yarn-mscale", "phi-longrope-short",
    "phi4-mini-partial", "phi4-mini-long",
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
    let own = name.hasSuffix("long") ? try #require(rotary.longFrequencies) : rotary.frequencies
    #expect(own.count == frequencies.count && !frequencies.isEmpty)
    for (own, theirs) in zip(own, frequencies) { #expect(relativeError(Double(own), theirs) < 1e-6) }
    #expect(relativeError(rotary.amplitude, try #require(expected["attention_factor"]?.double)) < 1e-7)
    #expect(configuration.blocks.allSatisfy { $0.rotary == 0 })
  }

  /// Only LongRoPE has two kinds of sequences, and only where the context goes beyond the original one.
  @Test func lengthMattersWhereLongRoPEGoesBeyondTheOriginalContext() throws {
    for (name, context, short) in [
      ("phi-longrope-short", 131072, 4096), ("qwen2.5-yarn", 131072, nil), ("dynamic@2048", 2048, nil),
    ] {
      var object = try #require(try Self.cases()[name]?["config"]?.object)
      let configuration = try ModelConfiguration(object, path: "config.json")
      #expect(configuration.contextLength == context && configuration.shortLength == short)
      object.members.removeAll { $0.key == "original_max_position_embeddings" }
      #expect(try ModelConfiguration(object, path: "config.json").shortLength == nil)
    }
  }
}
