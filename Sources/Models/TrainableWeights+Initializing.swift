import Core
import Glibc

extension TrainableWeights {
  /// GPT-2's initialisation, as transformers has it: normal of the configuration's `initializer_range`, that of the linears
  /// that add to the stream divided by √(2 · layers); biases zero; norms' weights one. Each tensor has its own stream of
  /// random numbers.
  public func initialize(seed: UInt64) {
    for tensor in tensors {
      let values = values(tensor)
      if tensor.shape.count < 2 {
        values.update(repeating: tensor.name.hasSuffix(".weight") ? 1 : 0)
        continue
      }
      let addsToStream = tensor.name.hasSuffix(".c_proj.weight")
      let scale =
        configuration.initializerRange / (addsToStream ? Double(2 * configuration.layers).squareRoot() : 1)
      var generator = SeededGenerator(seed: seed, name: tensor.name)
      // Two normals from two uniforms (Box and Muller 1958).
      for index in stride(from: 0, to: tensor.count, by: 2) {
        let radius = (-2 * log(1 - generator.uniform())).squareRoot() * scale
        let angle = 2 * Double.pi * generator.uniform()
        values[index] = Float(radius * cos(angle))
        if index + 1 < tensor.count { values[index + 1] = Float(radius * sin(angle)) }
      }
    }
  }
}
