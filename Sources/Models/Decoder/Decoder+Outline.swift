import Kernels
import Weights

extension Decoder {
  /// The parts of a model of this configuration, without their weights: for whoever asks how large things are. Nothing can be
  /// computed with it.
  public static func outline(_ configuration: ModelConfiguration) throws -> Decoder {
    let nothing = FloatBuffer(1)
    return try Decoder(
      WeightSource(configuration) { _, shape in FloatTensor(viewing: nothing.pointer, shape: shape, keptBy: nothing) })
  }
}
