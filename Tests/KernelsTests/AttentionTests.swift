import Kernels
import TestSupport
import Testing

@Suite struct AttentionTests {
  /// Around the tiles' borders, for every head width.
  static let sequences = [15, 16, 32, 48, 64, 80].flatMap { headWidth in
    [1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200].map {
      AttentionCase.sequence($0, headWidth: headWidth)
    }
  }

  static let grouped = [(4, 2), (4, 1), (6, 3), (3, 3)].flatMap { heads, keyValueHeads in
    [17, 70].map { AttentionCase.sequence($0, heads: heads, keyValueHeads: keyValueHeads, headWidth: 15) }
  }

  /// One query, a few, and more than a tile of them behind a cache.
  static let cached = [1, 5, 63, 64, 65, 130].flatMap { past in
    [1, 3, 64, 66].map { AttentionCase.sequence($0, past: past, heads: 4, keyValueHeads: 2, headWidth: 16) }
  }

  static let forests = [
    AttentionCase.forest([5, 3, 7], parents: [nil, 0, 0]),
    .forest([1, 1, 1, 1, 1], parents: [nil, 0, 1, 1, nil], heads: 1, keyValueHeads: 1, headWidth: 15),
    .forest([64, 64, 65, 1], parents: [nil, 0, 0, 1]),
    .forest([70, 3, 66, 130, 5, 9], parents: [nil, 0, 0, 2, 2, nil], heads: 4, keyValueHeads: 2, headWidth: 15),
    .forest([20, 30, 40, 50], parents: [nil, 0, 1, 2], heads: 2, keyValueHeads: 1, headWidth: 80),
  ]

  static let dropped = (sequences + grouped + cached + forests).enumerated().filter { $0.offset % 3 == 0 }.map {
    var test = $0.element
    test.hasDropout = true
    return test
  }

  /// With windows shorter than a strip, of a tile and more, caps, and a scale of their own.
  static let limited = [1, 5, 16, 17, 64, 70, 150].flatMap { window in
    [
      AttentionCase.sequence(1), .sequence(17, headWidth: 15), .sequence(200), .sequence(130, heads: 4, headWidth: 64),
      .sequence(3, past: 130, heads: 4), .sequence(70, past: 65, heads: 4), forests[0], forests[3], forests[4],
    ].enumerated().map { index, test in
      var limited = test
      limited.window = window
      limited.cap = index % 2 == 0 ? 0.8 : nil
      limited.scale = index % 3 == 0 ? 0.3 : nil
      limited.hasDropout = index % 4 == 3
      return limited
    }
  }

  static let capped = [sequences[5], sequences[20], grouped[2], cached[9], forests[2]].map { test in
    var capped = test
    capped.cap = 1.5
    return capped
  }

  static let all = sequences + grouped + cached + forests + dropped + limited + capped

  @Test(arguments: all) func fastAgreesWithPlain(_ test: AttentionCase) {
    let (fast, plain) = (test.evaluate(compute(.auto)), test.evaluate(compute(.plain)))
    #expect(largestError(fast.output, plain.output) < 5e-6)
    #expect(largestError(fast.logSumExp, plain.logSumExp) < 2e-6)
    #expect(largestError(fast.gradients, plain.gradients) < 1e-5)
    // Many threads cut heads too, and runs of queries.
    for threads in [1, 5, 32, 200] {
      let other = test.evaluate(compute(.auto, threads: threads))
      #expect(sameBits(fast.output, other.output) && sameBits(fast.gradients, other.gradients), "\(threads)")
      #expect(sameBits(fast.logSumExp, other.logSumExp), "\(threads)")
    }
    // Nobody's columns are nobody's still.
    let foreign = fast.gradients.indices.filter { $0 % test.stride >= test.stride - 3 }
    #expect(foreign.allSatisfy { fast.gradients[$0] == 0.5 })
  }

  @Test(
    arguments: Engine.allCases, grouped + forests.prefix(4) + cached.prefix(8) + dropped.suffix(8) + limited + capped)
  func forwardAgreesWithTheFormula(_ engine: Engine, _ test: AttentionCase) {
    let expected = test.reference(test.inputs.map(Double.init))
    let actual = test.evaluate(compute(engine))
    #expect(largestError(actual.output, expected.output) < 5e-6)
    #expect(largestError(actual.logSumExp, expected.logSumExp) < 2e-6)
  }

  /// dq, dk and dv of every element, those of shared ancestors among them.
  @Test(
    arguments: Engine.allCases,
    [
      AttentionCase.sequence(7, heads: 4, keyValueHeads: 2, headWidth: 3),
      .sequence(3, past: 4, heads: 2, keyValueHeads: 1, headWidth: 5),
      .forest([4, 2, 3, 2, 1], parents: [nil, 0, 0, 2, nil], heads: 2, keyValueHeads: 1, headWidth: 3),
    ].flatMap { test in
      var (dropped, limited, capped) = (test, test, test)
      dropped.hasDropout = true
      (limited.window, limited.scale) = (4, 0.4)
      (capped.cap, capped.window, capped.hasDropout) = (0.7, 3, true)
      return [test, dropped, limited, capped]
    })
  func backwardAgreesWithFiniteDifferences(_ engine: Engine, _ test: AttentionCase) {
    let upstream = test.upstream
    let expected = finiteDifferences(at: test.inputs) { weighted(test.reference($0).output, upstream) }
    let actual = test.evaluate(compute(engine)).gradients.map { $0 - 0.5 }
    #expect(largestError(actual, expected) < 5e-6)
  }

  /// Scores of hundreds must neither overflow nor lose the largest.
  @Test(arguments: Engine.allCases) func largeScores(_ engine: Engine) {
    let attention = Attention(heads: 1, keyValueHeads: 1, headWidth: 16)
    let (rows, width) = (80, 48)
    let inputs = noise(rows * width, seed: 5, scale: 30)
    let (output, logSumExp) = (FloatBuffer(rows * 16), FloatBuffer(rows))
    let scratch = FloatBuffer(attention.scratchCount(compute(engine)))
    inputs.withUnsafeBufferPointer { inputs in
      guard let base = inputs.baseAddress else { return }
      let run = AttentionRun(
        firstRow: 0, rows: rows,
        spans: [KeySpan(keys: base + 16, values: base + 32, count: rows, stride: width, causalOffset: 0)])
      attention.forward(
        [run],
        AttentionBuffers(
          queries: base, queryStride: width, output: output.pointer, logSumExp: logSumExp.pointer, rows: rows),
        scratch: scratch.pointer, compute(engine))
    }
    for row in 0..<rows {
      let scores = (0...row).map { key in
        (0..<16).reduce(0.0) { $0 + Double(inputs[row * width + $1]) * Double(inputs[key * width + 16 + $1]) } / 4
      }
      #expect(relativeError(Double(logSumExp.pointer[row]), scores.max() ?? 0) < 1e-3)
    }
    #expect((0..<rows * 16).allSatisfy { output.pointer[$0].isFinite })
  }
}
