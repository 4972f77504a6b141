import Core
import Files
import Models
import ONNX
import Weights

/// Files of an ONNX export, and where its weights go.
public struct ONNXLayout: Sendable {
  /// The graph that takes what comes after the keys and values of a cache, which may be empty: the one that optimum and
  /// transformers.js look for.
  public static let model = "model.onnx"
  /// The graph that takes whole texts.
  public static let modelWithoutCache = "model_no_cache.onnx"
  /// The weights of both.
  public static let weights = "model.onnx_data"

  /// Weights of at most so many bytes in all are written into each of the two files; more than that, beside them.
  ///
  /// The format's own bound is 2 GiB a file. Long before that, weights that both graphs share are not worth having twice on the
  /// disk, and a runtime maps them where they lie beside.
  public var inlineLimit = 128 << 20
  /// Of the weights that lie beside, in bytes; shorter ones stay inside.
  public var alignment = ExternalData.standardAlignment

  public init() {}
}

/// Writes the model with `adapter` merged in (or as it is, for nil) as two ONNX graphs in float32 with `config.json`,
/// generation configuration and tokenizer beside them. One weight is in memory at a time. `folder` is created, or replaced, as
/// a whole.
///
/// `model_no_cache.onnx` takes `input_ids` and `attention_mask` [batch, sequence] to `logits` [batch, sequence, vocabulary].
/// `model.onnx` does so with `position_ids` and a cache, under the names of optimum and transformers.js; it serves for a
/// prompt, with an empty cache, and for each token after it. Where a model computes longer sequences otherwise than
/// shorter ones (LongRoPE), a cache of the shorter kind cannot go on as the longer: the graph fails to run then, and the
/// whole sequence is to be given to an empty cache.
///
/// Throws `badData` for weights that are stored in 4 bits, and what reading and writing files throws.
public func exportONNX(
  _ checkpoint: ModelCheckpoint, _ decoder: Decoder, adapter: Adapter?, tokenizerFiles: [String],
  turns: ExportedTurns? = nil, to folder: String, layout: ONNXLayout = ONNXLayout(), threads: Int
) throws {
  guard checkpoint.quantizedNames.isEmpty else {
    throw SFTError(
      .badData, "the model is stored in 4 bits, and is written as ONNX in float32 only", file: checkpoint.folder,
      advice: "Give the folder of the model that it was quantised from")
  }
  _ = try checkpoint.weights
  let weights = ONNXWeights(checkpoint: checkpoint, decoder: decoder, adapter: adapter, threads: threads)
  try writeDirectoryAtomically(folder) { temporary in
    try writeGraphs(of: checkpoint.configuration, weights, layout, to: temporary)
    let configuration = temporary + "/config.json"
    try writeConfiguration(from: checkpoint.folder + "/config.json", to: configuration)
    if weights.untiesHead { try untieHead(in: configuration) }
    try copyCompanions(of: checkpoint.folder, tokenizerFiles, to: temporary)
    try turns?.apply(to: temporary, model: checkpoint.folder)
  }
}

private func writeGraphs(
  of configuration: ModelConfiguration, _ weights: ONNXWeights, _ layout: ONNXLayout, to folder: String
) throws {
  let values = weights.values
  // A configuration's sizes are bounded, so that this cannot overflow.
  let byteCount = values.reduce(0) { $0 + 4 * $1.shape.reduce(1, *) }
  let external =
    byteCount > layout.inlineLimit
    ? try ExternalData(values, writingTo: ONNXLayout.weights, in: folder, alignment: layout.alignment) : nil
  for (name, isCached) in [(ONNXLayout.modelWithoutCache, false), (ONNXLayout.model, true)] {
    let graph = DecoderGraph.graph(configuration, isCached: isCached, hasOwnHead: weights.untiesHead)
    try writeModel(
      graph, values, external: external, metadata: ["model_type": configuration.architecture.rawValue],
      to: folder + "/" + name)
  }
}
