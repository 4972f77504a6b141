import Core
import Glibc
import Weights

extension TrainableWeights {
  /// Initialisation as transformers has it: normal of the configuration's `initializer_range`, in GPT-2 that of the linears
  /// that add to the stream divided by √(2 · layers); biases zero; norms' weights such that they multiply by one. Each tensor
  /// has its own stream of random numbers.
  public func initialize(seed: UInt64) {
    for (tensor, specification) in zip(tensors, configuration.expectedTensors) {
      let values = values(tensor)
      if tensor.shape.count < 2 {
        values.update(repeating: initialValue(specification.role))
        continue
      }
      let isDivided = configuration.scalesInitialOutputs && specification.role.addsToStream
      let scale =
        configuration.initializerRange / (isDivided ? Double(2 * configuration.layers).squareRoot() : 1)
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

  private func initialValue(_ role: TensorRole) -> Float {
    switch role {
    case .norm(_, .weight), .finalNorm(.weight): configuration.norm == .rms(unitOffset: true) ? 0 : 1
    default: 0
    }
  }
}
