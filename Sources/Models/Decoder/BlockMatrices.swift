import Core
import Kernels
import Weights

extension ModelCheckpoint {
  /// The matrices that are stored in ggml's quantised blocks, by their canonical names, in the file they are in; those whose
  /// rows change places are copied. Throws `badData` for a type without kernels.
  public func blockMatrices(except others: Set<String> = []) throws -> [String: BlockMatrix] {
    var matrices: [String: BlockMatrix] = [:]
    for name in blockNames where !others.contains(name) {
      guard let tensor = try blocks(name) else { continue }
      guard let kind = BlockMatrix.Kind(rawValue: tensor.type.name) else {
        throw SFTError(
          .badData, "tensor \(quoted(try storedName(name))) is in \(tensor.type.name), which is not computed with",
          file: folder)
      }
      matrices[name] = BlockMatrix(
        tensor.pointer, kind, outputs: tensor.outputs, inputs: tensor.inputs, keptBy: tensor.owner)
    }
    return matrices
  }
}
