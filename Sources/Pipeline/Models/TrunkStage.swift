import Artifacts
import Core
import Evaluating
import Files
import Kernels
import Models
import Training

/// What the frozen blocks below the lowest adapted one give for each training record: computed once, read back in every
/// epoch. Float32 rows, [tokens − 1, C] a record, in the order of the training records.
///
/// The values are those of one forward pass over batches of a fixed cut, so they are the same whenever they are made; other
/// batches' differ by rounding.
enum TrunkStage {
  static let name = "trunk"
  static let version = 1
  static let dataFile = "stream.f32"
  /// Tokens of a batch while they are computed.
  private static let batchTokens = 1024

  struct Summary: Codable, Sendable, Equatable {
    var records: Int
    var rows: Int
    var width: Int
  }

  /// Rows of each training record.
  static func rows(_ data: PreparedData) -> [Int] { data.training.map { max(0, data.sample($0).tokens.count - 1) } }

  /// `progress` gets the records done and their number, and may throw to stop.
  static func run(
    _ workspace: Workspace, _ data: PreparedData, _ base: BaseModel, layer: Int, _ compute: Compute,
    progress: (Int, Int) throws -> Void
  ) throws -> Artifact<Summary> {
    let algebra = LinearAlgebra.report(threads: compute.threads)
    let width = base.decoder.configuration.width
    let key = ArtifactKey(
      stage: name, version: version,
      settings: [
        Setting("layer", layer), Setting("quantization", base.quantization?.description ?? "none"),
        Setting("max-length", data.summary.maxLength), Setting("threads", compute.threads),
        Setting("kernels", algebra.kernels), Setting("openblas", algebra.coreType),
      ], inputs: [try base.digest(), data.reference.digest])
    return try workspace.store.artifact(key) { writer in
      let file = try writer.file(dataFile)
      let pass = InferencePass(base.decoder, nil, compute)
      var summary = Summary(records: data.training.count, rows: 0, width: width)
      var done = 0
      try overBatches(
        data.training.count, tokenBudget: batchTokens, sharesPrefixes: true, for: base.decoder,
        samples: { data.sample(data.training[$0]) }
      ) { batch, samples in
        let stream = pass.stream(batch, entering: layer)
        for sample in samples {
          for segment in batch.path(of: sample.tokens.dropLast()).map({ batch.segments[$0] }) {
            let rows = UnsafeBufferPointer(
              start: stream + segment.rows.lowerBound * width, count: segment.rows.count * width)
            try file.write(UnsafeRawBufferPointer(rows))
            summary.rows += segment.rows.count
          }
        }
        done += samples.count
        try progress(done, data.training.count)
      }
      try file.commit()
      return summary
    }
  }

  /// Opens what `run` made; it stays in use for as long as the result lives. Throws `badData` where it does not fit the
  /// data.
  static func open(_ artifact: Artifact<Summary>, _ data: PreparedData, layer: Int) throws -> TrunkOutputs {
    let width = artifact.summary.width
    let file = try MappedFile(try artifact.file(dataFile))
    var (starts, total) = ([Int](), 0)
    for rows in rows(data) {
      starts.append(total)
      total += rows
    }
    guard file.count == total * width * MemoryLayout<Float>.stride else {
      throw SFTError(.badData, "the stored outputs do not fit the data", file: artifact.path)
    }
    let (first, rowBytes) = (starts, width * MemoryLayout<Float>.stride)
    return TrunkOutputs(layer: layer, width: width) { record, positions, place in
      let start = (first[record] + positions.lowerBound) * rowBytes
      let range = start..<start + positions.count * rowBytes
      UnsafeMutableRawPointer(place).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: file.bytes[range]).baseAddress ?? UnsafeRawPointer(place),
        byteCount: range.count)
      // The system's cache keeps it; it need not count as this process's memory.
      file.advise(range, .dontNeed)
      withExtendedLifetime(artifact) {}
    }
  }
}

/// Whether a run stores the outputs of the frozen blocks below its adapters.
struct TrunkDecision {
  /// The block they enter; nil for no.
  var layer: Int?
  /// Why not, where the user may wonder.
  var note: String?

  /// Share of the free space that may be used where the user sets no limit.
  private static let freeShare = 4

  /// Storing pays from one and a half epochs on: the first one computes and writes. `limit` is in bytes.
  init(
    _ settings: TrainingSettings, _ data: PreparedData, lowestLayer: Int, width: Int, limit: Int?, freeBytes: Int?
  ) {
    guard lowestLayer > 0, settings.engine == .auto, settings.dropout == nil, limit != 0 else { return }
    let rows = TrunkStage.rows(data)
    let total = rows.reduce(0, +)
    let epochs =
      settings.batchTokens.map { tokens in
        Double(settings.steps * tokens * settings.gradientAccumulation) / Double(max(1, total + rows.count))
      } ?? Double(settings.steps * settings.effectiveBatch) / Double(max(1, rows.count))
    let words = "the layers below \(lowestLayer) are frozen, but their outputs are not stored"
    guard epochs >= 1.5 else {
      note = "\(words): with \(fixed(epochs, 1)) epochs that would not pay"
      return
    }
    let bytes = total * width * MemoryLayout<Float>.stride
    let most = limit ?? (freeBytes ?? .max) / Self.freeShare
    guard bytes <= most else {
      note =
        "\(words): they are \(byteCount(bytes)), and "
        + (limit == nil
          ? "a quarter of the free space is \(byteCount(most))" : "\(OptionName.trunkCache) is \(byteCount(most))")
      return
    }
    layer = lowestLayer
  }
}
