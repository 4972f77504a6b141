import Core
import Packing
import Testing

/// Packing by example: tokens, segments and targets written out.
@Suite struct PackerTests {
  private func target(_ row: Int, _ token: Int32, _ weight: Float = 1) -> Batch.Target {
    Batch.Target(row: row, token: token, weight: weight)
  }

  private func segment(_ rows: Range<Int>, at position: Int, parent: Int? = nil) -> Batch.Segment {
    Batch.Segment(rows: rows, startPosition: position, parent: parent)
  }

  /// Two records with the preamble 1 2 3, EOS 0.
  private let pair = [
    Sample(tokens: [1, 2, 3, 7, 8, 0], promptCount: 4),
    Sample(tokens: [1, 2, 3, 5, 0], promptCount: 3),
  ]

  @Test func withoutSharingEachRecordIsASegment() {
    #expect(
      Packer.pack(pair, sharesPrefixes: false)
        == Batch(
          tokens: [1, 2, 3, 7, 8, /**/ 1, 2, 3, 5],
          segments: [segment(0..<5, at: 0), segment(5..<9, at: 0)],
          targets: [target(3, 8), target(4, 0), target(7, 5), target(8, 0)], recordTokens: 11))
  }

  @Test func aCommonPrefixStandsOnce() {
    let batch = Packer.pack(pair, sharesPrefixes: true)
    #expect(
      batch
        == Batch(
          tokens: [1, 2, 3, /**/ 5, /**/ 7, 8],
          segments: [segment(0..<3, at: 0), segment(3..<4, at: 3, parent: 0), segment(4..<6, at: 3, parent: 0)],
          targets: [target(2, 5), target(3, 0), target(4, 8), target(5, 0)], recordTokens: 11))
    #expect(batch.positions == [0, 1, 2, 3, 3, 4])
    #expect(batch.supervisedTokens == 4)
    #expect(batch.ancestors(of: 0) == [] && batch.ancestors(of: 2) == [0])
  }

  /// Of five tokens at most, and longer: the preamble stands once for either kind.
  @Test func longSequencesShareNothingWithShortOnes() {
    let batch = Packer.pack(pair, sharesPrefixes: true, shortLength: 5)
    #expect(batch.tokens == [1, 2, 3, 5, /**/ 1, 2, 3, 7, 8])
    #expect(batch.segments.map(\.rows) == [0..<4, 4..<9] && batch.segments.map(\.isLong) == [false, true])
    #expect(batch.areLong == [false, false, false, false, true, true, true, true, true])
    #expect(batch.path(of: [1, 2, 3, 5]) == [0] && batch.path(of: [1, 2, 3, 7, 8]) == [1])
    #expect(Packer.pack(pair, sharesPrefixes: true, shortLength: 6).segments.count == 3)
    #expect(Packer.pack(pair, sharesPrefixes: true).areLong == nil)
  }

  @Test func identicalRecordsWeighTwice() {
    let sample = Sample(tokens: [1, 2, 3, 0], promptCount: 2)
    #expect(
      Packer.pack([sample, sample, sample], sharesPrefixes: true)
        == Batch(
          tokens: [1, 2, 3], segments: [segment(0..<3, at: 0)], targets: [target(1, 3, 3), target(2, 0, 3)],
          recordTokens: 12))
  }

  /// 1 2 3 0 and 1 2 0 part after row 1, which then predicts two tokens; the shorter one has no rows of its own.
  @Test func aRowMayHaveSeveralTargets() {
    let samples = [
      Sample(tokens: [1, 2, 3, 0], promptCount: 2), Sample(tokens: [1, 2, 0], promptCount: 2),
      Sample(tokens: [1, 2, 3, 4, 0], promptCount: 2),
    ]
    #expect(
      Packer.pack(samples, sharesPrefixes: true)
        == Batch(
          tokens: [1, 2, /**/ 3, /**/ 4],
          segments: [segment(0..<2, at: 0), segment(2..<3, at: 2, parent: 0), segment(3..<4, at: 3, parent: 1)],
          targets: [target(1, 0), target(1, 3, 2), target(2, 0), target(2, 4), target(3, 0)], recordTokens: 12))
  }

  /// The same tokens, but the prompt of one is the beginning of the answer of the other.
  @Test func promptsOfDifferentLengths() {
    let samples = [Sample(tokens: [1, 2, 3, 0], promptCount: 3), Sample(tokens: [1, 2, 3, 0], promptCount: 1)]
    #expect(
      Packer.pack(samples, sharesPrefixes: true).targets == [target(0, 2), target(1, 3), target(2, 0, 2)])
  }

  /// Turns of two conversations that begin alike: what both train within the common beginning counts for each.
  @Test func whatIsTrainedInASharedPrefixCountsForEachSample() {
    let samples = [
      Sample(tokens: [1, 2, 9, 3, 4, 9], supervised: [1..<3, 4..<6]),
      Sample(tokens: [1, 2, 9, 3, 5, 9], supervised: [1..<3, 4..<6]),
      // Its own last turn only, after the same one.
      Sample(tokens: [1, 2, 9, 3, 6, 9], supervised: [4..<6]),
    ]
    #expect(
      Packer.pack(samples, sharesPrefixes: true)
        == Batch(
          tokens: [1, 2, 9, 3, /**/ 4, /**/ 5, /**/ 6],
          segments: [
            segment(0..<4, at: 0), segment(4..<5, at: 4, parent: 0), segment(5..<6, at: 4, parent: 0),
            segment(6..<7, at: 4, parent: 0),
          ],
          targets: [
            target(0, 2, 2), target(1, 9, 2), target(3, 4), target(3, 5), target(3, 6), target(4, 9), target(5, 9),
            target(6, 9),
          ], recordTokens: 18))
  }

  @Test(arguments: [false, true]) func oneRecord(_ sharesPrefixes: Bool) {
    #expect(
      Packer.pack([Sample(tokens: [4, 5, 0], promptCount: 0)], sharesPrefixes: sharesPrefixes)
        == Batch(
          tokens: [4, 5], segments: [segment(0..<2, at: 0)], targets: [target(0, 5), target(1, 0)], recordTokens: 3))
  }

  @Test(arguments: [false, true]) func recordsWithoutARowOnlyCount(_ sharesPrefixes: Bool) {
    let (empty, one) = (Sample(tokens: [], promptCount: 0), Sample(tokens: [0], promptCount: 0))
    #expect(
      Packer.pack([empty, one, one], sharesPrefixes: sharesPrefixes)
        == Batch(tokens: [], segments: [], targets: [], recordTokens: 2))
    let batch = Packer.pack([one, Sample(tokens: [1, 0], promptCount: 1), empty], sharesPrefixes: sharesPrefixes)
    #expect(
      batch == Batch(tokens: [1], segments: [segment(0..<1, at: 0)], targets: [target(0, 0)], recordTokens: 3))
    #expect(Packer.pack([], sharesPrefixes: sharesPrefixes).segments.isEmpty)
  }

  /// Nothing in common: roots side by side. Token ids sort as numbers.
  @Test func strangersShareNothing() {
    let samples = [Sample(tokens: [300, 1, 0], promptCount: 1), Sample(tokens: [5, 1, 0], promptCount: 1)]
    let batch = Packer.pack(samples, sharesPrefixes: true)
    #expect(batch.tokens == [5, 1, 300, 1])
    #expect(batch.segments == [segment(0..<2, at: 0), segment(2..<4, at: 0)])
  }
}
