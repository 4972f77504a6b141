import Core
import Files
import Glibc
import Testing
import Weights

/// A folder of its own for one test, removed when the test ends.
final class TemporaryFolder {
  let path: String

  init() throws {
    let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    path = "\(base)/weights-tests-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    try createDirectory(path)
  }

  deinit { try? removeTree(path) }

  /// Writes a file and gives its path.
  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let file = path + "/" + name
    try createDirectory(parentPath(file))
    try writeAtomically(bytes, to: file)
    return file
  }

  @discardableResult
  func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }
}

/// Writes a file without syncing it, for tests that write thousands.
func overwrite(_ path: String, _ content: [UInt8]) throws {
  unlink(path)
  let descriptor = open(path, O_WRONLY | O_CREAT, 0o600)
  defer { close(descriptor) }
  #expect(write(descriptor, content, content.count) == content.count)
}

/// A safetensors file byte by byte: the header as given, without padding, whatever its claimed length.
func safetensors(_ header: String, _ data: [UInt8] = [], claimed: UInt64? = nil) -> [UInt8] {
  safetensors(Array(header.utf8), data, claimed: claimed)
}

func safetensors(_ header: [UInt8], _ data: [UInt8] = [], claimed: UInt64? = nil) -> [UInt8] {
  littleEndian(claimed ?? UInt64(header.count)) + header + data
}

func littleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

func bytes(_ values: [Float]) -> [UInt8] { values.flatMap { littleEndian($0.bitPattern) } }

/// What an error says and which kind it is; nil where `body` does not throw one of ours.
func failure(_ body: () throws -> Void) -> SFTError? {
  do {
    try body()
    return nil
  } catch {
    return error as? SFTError
  }
}

/// A GPT-2 of two layers.
let tinyConfiguration = ModelConfiguration.gpt2(vocabularySize: 11, contextLength: 7, width: 6, layers: 2, heads: 3)

let tinyConfigurationText = """
  {"model_type": "gpt2", "vocab_size": 11, "n_positions": 7, "n_embd": 6, "n_layer": 2, "n_head": 3,
   "eos_token_id": 10, "bos_token_id": 10, "activation_function": "gelu_new", "n_inner": null}
  """

/// Seeded values that bfloat16 holds exactly.
func values(_ count: Int, seed: UInt64) -> [Float] {
  var generator = SeededGenerator(seed: seed)
  return (0..<count).map { _ in
    Float(bitPattern: Float(generator.uniform() * 4 - 2).bitPattern & 0xffff_0000)
  }
}

/// Every tensor of the tiny model by canonical name, the same on every call.
func tinyTensors(_ configuration: ModelConfiguration = tinyConfiguration) -> [(name: String, shape: [Int], [Float])] {
  configuration.expectedTensors.enumerated().map { index, tensor in
    (tensor.name, tensor.shape, values(tensor.shape.reduce(1, *), seed: UInt64(index)))
  }
}

/// The name in the hub's layout.
func withoutPrefix(_ name: String) -> String {
  name.hasPrefix("transformer.") ? String(name.dropFirst("transformer.".count)) : name
}

/// Outputs in float32 under other names.
func outputs(_ rename: (String) -> String = { $0 }) -> [TensorOutput] {
  tinyTensors().map { TensorOutput(rename($0.name), $0.shape, $0.2) }
}

/// A whole folder of the tiny model with the given tensors.
func modelFolder(_ tensors: [TensorOutput], configuration: String = tinyConfigurationText) throws -> TemporaryFolder {
  let folder = try TemporaryFolder()
  try folder.write("config.json", configuration)
  try writeSafetensors(tensors, to: folder.path + "/model.safetensors")
  return folder
}
