import Core

extension ModelCheckpoint {
  /// Throws `badData`, naming file and tensor, where a value is an infinity or NaN. Weights in 4 bits are not looked at; all
  /// others are read once.
  public func checkFinite() throws {
    for tensor in configuration.expectedTensors where !quantizedNames.contains(tensor.name) {
      let stored = try self.tensor(tensor.name, shape: tensor.shape)
      defer { stored.releasePages() }
      guard stored.withValues({ $0.allSatisfy(\.isFinite) }) else {
        throw SFTError(
          .badData, "tensor \(quoted(try storedName(tensor.name))) holds an infinity or NaN",
          file: try path(of: tensor.name),
          advice: "Get the model's files again")
      }
    }
  }
}
