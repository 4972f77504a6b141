import Artifacts
import Core
import Files
import Kernels
import Quantizing
import Weights

/// Quantises a model part by part, each of which is written to a file of its own: a process that is stopped leaves what it has
/// done to the next one. Weights are read once and some thousand at a time; besides two parts' codes nothing of them is in
/// memory.
struct QuantizedParts {
  let checkpoint: ModelCheckpoint
  /// Tensors to quantise.
  let names: [String]
  let settings: QuantizationSettings
  /// Whether the base's digest is taken in the same read, for which what is not quantised is read too.
  let hashes: Bool
  let compute: Compute
  /// Where the files go.
  let work: UnfinishedWork

  /// A file of quantised linears with its checksum.
  struct Made: Sendable {
    var path: String
    var sha256: Digest
  }

  /// What the folder of such work is called by: another model, or other settings, have another.
  static func key(_ checkpoint: ModelCheckpoint, _ names: [String], _ settings: QuantizationSettings) -> Digest {
    var digester = Digester()
    digester.update("sft quantised parts \(QuantizedStage.version)")
    digester.update(checkpoint.identity)
    digester.update("\(settings.kind.rawValue) \(settings.doubleQuantization)")
    for name in names { digester.update(name) }
    return digester.finish()
  }

  /// The files in order, and the base's digest where it was to be taken. `progress` may throw to stop; what is done then stays.
  func make(
    notice: (String) -> Void, progress: @escaping (WorkProgress) throws -> Void
  ) throws -> (files: [Made], digest: Digest?) {
    let parts = QuantizedPart.parts(of: checkpoint.configuration, quantizing: Set(names))
    var records = try takeUp(parts.count)
    let missing = parts.indices.filter { records[$0] == nil }
    if missing.count < parts.count {
      notice(
        "Going on with a quantisation that was stopped: \(parts.count - missing.count) of \(parts.count) parts are done."
      )
    }
    let reader = PartReader(checkpoint, Set(names), settings, hashes: hashes, compute)
    let meter = WorkMeter(
      "quantising", total: try missing.reduce(0) { try $0 + reader.byteCount(parts[$1]) }, progress)
    let writer = BackgroundTask<QuantizedPartRecord>()
    // What is being written is done, whatever ends the rest.
    defer { _ = try? writer.wait() }
    var (done, writing) = (0, Int?.none)
    for number in missing {
      try meter(done)
      let read = try reader.read(parts[number])
      if let last = writing { records[last] = try writer.wait() }
      let (path, record) = (file(number), recordFile(number))
      writer.start {
        try writeSafetensors(read.matrices.flatMap { $1.tensors(name: $0) }, to: path)
        let written = QuantizedPartRecord(pieces: read.pieces, sha256: try Digest(ofFile: path))
        try written.write(record)
        return written
      }
      writing = number
      done += try reader.byteCount(parts[number])
    }
    if let last = writing { records[last] = try writer.wait() }
    try meter(done)
    let made = records.compactMap(\.self)
    var pieces: [String: [Digest]] = [:]
    for record in made { pieces.merge(record.pieces ?? [:]) { $1 } }
    let files = made.enumerated().map { Made(path: file($0), sha256: $1.sha256) }
    return (files, try hashes ? checkpoint.baseDigest(pieces: pieces) : nil)
  }

  /// Of each part, what an earlier process did and is as it left it.
  private func takeUp(_ count: Int) throws -> [QuantizedPartRecord?] {
    if try work.isNew { return Array(repeating: nil, count: count) }
    let (paths, needsPieces) = ((0..<count).map { (recordFile($0), file($0)) }, hashes)
    return try parallelMap(paths, threads: compute.threads) { paths -> QuantizedPartRecord? in
      QuantizedPartRecord(paths.0, of: paths.1).flatMap { needsPieces && $0.pieces == nil ? nil : $0 }
    }
  }

  private func file(_ number: Int) -> String { work.file(Self.fileName(number)) }
  private func recordFile(_ number: Int) -> String { work.file("part-\(number).json") }

  static func fileName(_ number: Int) -> String { "linears-\(number).safetensors" }
}

/// Reads parts of a model once: for their quantised linears, and for the digests of all their tensors.
private struct PartReader {
  let checkpoint: ModelCheckpoint
  let names: Set<String>
  let settings: QuantizationSettings
  let hashes: Bool
  let compute: Compute

  init(
    _ checkpoint: ModelCheckpoint, _ names: Set<String>, _ settings: QuantizationSettings, hashes: Bool,
    _ compute: Compute
  ) {
    (self.checkpoint, self.names, self.settings, self.hashes, self.compute) =
      (checkpoint, names, settings, hashes, compute)
  }

  /// A tensor on its way.
  private struct Tensor: Sendable {
    var name: String
    var pieces: TensorPieces
    /// nil for one that is not quantised, or not in this order.
    var builder: QuantizedBuilder?
  }

  struct Result: Sendable {
    var matrices: [(String, QuantizedMatrix)]
    var pieces: [String: [Digest]]?
  }

  private func tensors(_ part: QuantizedPart) -> [TensorSpecification] {
    part.tensors.filter { hashes || names.contains($0.name) }
  }

  /// Stored bytes that are read of a part.
  func byteCount(_ part: QuantizedPart) throws -> Int {
    try tensors(part).reduce(0) { try $0 + checkpoint.pieces($1.name).byteCount }
  }

  func read(_ part: QuantizedPart) throws -> Result {
    var builders: [(String, QuantizedBuilder)] = []
    let tensors = try tensors(part).map { tensor -> Tensor in
      var read = Tensor(name: tensor.name, pieces: try checkpoint.pieces(tensor.name), builder: nil)
      if names.contains(tensor.name) {
        let builder = try builder(tensor)
        builders.append((tensor.name, builder))
        if tensor.orientation == .outputsByInputs {
          read.builder = builder
        } else {
          // Blocks run across what is stored.
          let weights = try checkpoint.tensor(tensor.name, shape: tensor.shape)
          builder.encode(weights, layout: .inputsByOutputs, compute)
          weights.releasePages()
        }
      }
      return read
    }
    let pieces = try readPieces(tensors)
    return Result(
      matrices: try builders.map { ($0, try $1.finish(compute)) }, pieces: hashes ? pieces : nil)
  }

  private func builder(_ tensor: TensorSpecification) throws -> QuantizedBuilder {
    let isInputMajor = tensor.orientation == .inputsByOutputs
    return try QuantizedBuilder(
      outputs: tensor.shape[isInputMajor ? 1 : 0], inputs: tensor.shape[isInputMajor ? 0 : 1], name: tensor.name,
      file: try checkpoint.path(of: tensor.name), settings: settings)
  }

  /// All pieces of the tensors, shared out among the threads; what their values hash to.
  private func readPieces(_ tensors: [Tensor]) throws -> [String: [Digest]] {
    let (hashes, compute) = (self.hashes, self.compute)
    let work = tensors.filter { hashes || $0.builder != nil }
      .flatMap { tensor in (0..<tensor.pieces.count).map { (tensor, $0) } }
    let digests = try parallelMap(work, threads: compute.threads) { tensor, piece -> Digest? in
      var digester = hashes ? Digester() : nil
      tensor.pieces.forEachChunk(of: piece) { values, first in
        digester?.update(UnsafeRawBufferPointer(values))
        tensor.builder?.encode(values, at: first, compute)
      }
      return digester?.finish()
    }
    var result: [String: [Digest]] = [:]
    for ((tensor, _), digest) in zip(work, digests) {
      if let digest { result[tensor.name, default: []].append(digest) }
    }
    return result
  }
}
