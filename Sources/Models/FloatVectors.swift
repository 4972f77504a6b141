import Core
import Files
import Kernels
import Weights

/// Named vectors of floats in a safetensors file: what a training checkpoint keeps beside the adapter.
public enum FloatVectors {
  /// Writes `vectors`, each of `count` floats; the file appears whole or not at all.
  public static func write(_ vectors: [(name: String, values: FloatBuffer)], count: Int, to path: String) throws {
    let tensors = vectors.map { vector in
      TensorOutput(vector.name, .f32, [count]) { sink in
        try sink(
          UnsafeRawBufferPointer(start: vector.values.pointer, count: count * MemoryLayout<Float>.stride))
      }
    }
    try writeSafetensors(tensors, to: path)
  }

  /// Copies the vectors of those names into `vectors`, once all of them were found with `count` floats. Throws `badData`
  /// naming the one that was not; nothing is changed then.
  public static func read(_ path: String, into vectors: [(name: String, values: FloatBuffer)], count: Int) throws {
    let file = try SafetensorsFile(path)
    let stored = try vectors.map { try file.floats($0.name, shape: [count]) }
    for (vector, values) in zip(vectors, stored) {
      vector.values.pointer.update(from: values.pointer, count: count)
    }
  }
}
