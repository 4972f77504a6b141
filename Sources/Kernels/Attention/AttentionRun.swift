import Core

/// Keys and values that a run of queries attends to: rows of an activation buffer, or of a key/value cache.
public struct KeySpan {
  /// First row's keys and values, all heads: a head's are at `head * headWidth`.
  public var keys: Floats
  public var values: Floats
  public var count: Int
  /// Floats from one row to the next.
  public var stride: Int
  /// Query i sees key j when j ≤ i + causalOffset; `everything` for a span that lies wholly before the queries.
  public var causalOffset: Int
  /// Of the first key among all rows, by which dropout counts them and their gradients lie.
  public var firstRow: Int
  /// Which gradients the backward pass takes from this span.
  var gradients = Gradients.all

  enum Gradients: Sendable { case all, queries, keys }

  public static let everything = Int(Int32.max)

  public init(
    keys: Floats, values: Floats, count: Int, stride: Int, causalOffset: Int = KeySpan.everything, firstRow: Int = 0
  ) {
    self.keys = keys
    self.values = values
    self.count = count
    self.stride = stride
    self.causalOffset = causalOffset
    self.firstRow = firstRow
  }
}

/// A run of consecutive query rows and all that they attend to.
public struct AttentionRun {
  /// First of the run's rows in the output and log-sum-exp buffers.
  public var firstRow: Int
  /// First of the run's rows among the queries, which may hold more rows than there are outputs.
  public var queryRow: Int
  public var rows: Int
  public var spans: [KeySpan]

  /// `queryRow` is `firstRow` where it is not given.
  public init(firstRow: Int, queryRow: Int? = nil, rows: Int, spans: [KeySpan]) {
    self.firstRow = firstRow
    self.queryRow = queryRow ?? firstRow
    self.rows = rows
    self.spans = spans
  }
}

/// Buffers of one attention call with N rows of output and H heads of width D; G = H / keyValueHeads queries share a key
/// head.
public struct AttentionBuffers {
  /// [·, H·D] inside rows of `queryStride`.
  public var queries: Floats
  public var queryStride: Int
  /// [N, H·D].
  public var output: MutableFloats
  /// [H, N], kept for the backward pass.
  public var logSumExp: MutableFloats
  public var rows: Int
  public var dropout: AttentionDropout?

  public init(
    queries: Floats, queryStride: Int, output: MutableFloats, logSumExp: MutableFloats, rows: Int,
    dropout: AttentionDropout? = nil
  ) {
    self.queries = queries
    self.queryStride = queryStride
    self.output = output
    self.logSumExp = logSumExp
    self.rows = rows
    self.dropout = dropout
  }
}

/// Where gradients are accumulated in the backward pass: of row 0, all heads side by side; rows are `stride` apart.
public struct AttentionGradients {
  /// Laid out as the queries: row i is that of query row i.
  public var queries: MutableFloats
  /// Of the row that a span's `firstRow` counts from.
  public var keys: MutableFloats
  public var values: MutableFloats
  public var stride: Int

  public init(queries: MutableFloats, keys: MutableFloats, values: MutableFloats, stride: Int) {
    self.queries = queries
    self.keys = keys
    self.values = values
    self.stride = stride
  }
}
