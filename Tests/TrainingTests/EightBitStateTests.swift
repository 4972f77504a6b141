import Core
import Files
import Kernels
import Models
import TestSupport
import Testing
import Training
import Weights

/// The optimiser's state in 8 bits: bitsandbytes' own, bit for bit, and what a checkpoint keeps of it.
@Suite struct EightBitStateTests {
  /// The tensors of `Tests/Fixtures/make_adamw8bit.py`, one after the other.
  static let tensors: [ParameterTensor] = {
    var offset = 0
    let shapes = [
      ("a", [16, 768]), ("small", [16, 255]), ("b", [1000, 16]), ("tiny", [3, 5]), ("least", [256, 16]),
    ]
    return shapes.map { name, shape in
      defer { offset += shape[0] * shape[1] }
      return ParameterTensor(name: name, shape: shape, offset: offset)
    }
  }()
  static let count = tensors.reduce(0) { $0 + $1.count }
  static let engines: [Compute] = [
    Compute(engine: .plain, threads: 1), Compute(engine: .auto, threads: 1), Compute(engine: .auto, threads: 2),
  ]

  static let settings: TrainingSettings = {
    var settings = Bench.settings(LoRAConfiguration(), steps: 6)
    settings.schedule = Schedule(kind: .linear, learningRate: 1e-2, warmupSteps: 2)
    settings.weightDecay = 0.1
    return settings
  }()

  /// The script's: rows of very different sizes and whole blocks of zeros; the first tensor's is zero in the first step.
  static func gradients(step: Int) -> [Float] {
    tensors.enumerated().flatMap { index, tensor in
      noise(tensor.count, seed: UInt64(100 * step + index)).enumerated().map { place, value -> Float in
        if place / 256 % 5 == step % 5 || (index == 0 && step == 1) { return 0 }
        let scale = Float(sign: .plus, exponent: -3 * (place / tensor.shape[1] % 7), significand: 1)
        return value * scale * (step == 4 ? 0x1p-9 : 1)
      }
    }
  }

  static func parameters() -> [Float] {
    tensors.enumerated().flatMap { noise($1.count, seed: UInt64($0)) }
  }

  /// Goes through `steps`; `after` is called with each one's number.
  static func train(
    _ state: OptimizerState, _ parameters: inout [Float], steps: ClosedRange<Int>, _ compute: Compute = Compute(),
    after: (Int) throws -> Void = { _ in }
  ) throws {
    for step in steps {
      let norm = state.update(
        &parameters, gradients: gradients(step: step), settings: settings,
        learningRate: settings.schedule.rate(at: step - 1, of: settings.steps), step: step, compute)
      #expect((norm > 1) == (step != 4))
      try after(step)
    }
  }

  /// Without decay of vectors they go as with no decay at all, and matrices as with decay of everything.
  @Test(arguments: Optimizer.allCases) func decayOfMatricesOnly(_ optimizer: Optimizer) {
    let tensors = [
      ParameterTensor(name: "matrix", shape: [70, 100], offset: 0),
      ParameterTensor(name: "norm", shape: [5000], offset: 7000),
      ParameterTensor(name: "bias", shape: [100], offset: 12_000),
    ]
    func train(matricesOnly: Bool, decay: Double) -> [Float] {
      let state = OptimizerState(optimizer, tensors, decaysMatricesOnly: matricesOnly)
      var settings = Self.settings
      settings.weightDecay = decay
      settings.maxGradientNorm = 0
      var parameters = noise(12_100, seed: 1)
      for step in 1...3 {
        _ = state.update(
          &parameters, gradients: noise(12_100, seed: UInt64(1 + step)), settings: settings,
          learningRate: settings.schedule.rate(at: step - 1, of: settings.steps), step: step, Compute())
      }
      return parameters
    }
    let (all, none) = (train(matricesOnly: false, decay: 0.5), train(matricesOnly: false, decay: 0))
    let part = train(matricesOnly: true, decay: 0.5)
    // One pair of moments over all of it or one a tensor: the vectorised loop may round otherwise at the ends.
    #expect(largestError(Array(part[..<7000]), Array(all[..<7000])) < 1e-6)
    #expect(largestError(Array(part[7000...]), Array(none[7000...])) < 1e-6)
    #expect(largestError(Array(all[7000...]), Array(none[7000...])) > 1e-4)
  }

  @Test(arguments: engines) func statesAreBitsandbytes(_ compute: Compute) throws {
    let reference = try SafetensorsFile(fixturesFolder + "/adamw8bit/states.safetensors")
    let state = OptimizerState(.adamw8bit, Self.tensors)
    var parameters = Self.parameters()
    try withTemporaryFolder { folder in
      let path = folder + "/state.safetensors"
      try Self.train(state, &parameters, steps: 1...6, compute) { step in
        try state.write(to: path)
        #expect(try Self.digest(SafetensorsFile(path)).hex == reference.metadata["step.\(step)"], "step \(step)")
      }
      let file = try SafetensorsFile(path)
      #expect(file.names == reference.names.filter { $0.contains(".") })
      for name in file.names {
        #expect(file.tensors[name]?.dtype == reference.tensors[name]?.dtype)
        #expect(file.tensors[name]?.shape == reference.tensors[name]?.shape)
      }
      for tensor in Self.tensors where tensor.count < 4096 {
        for name in [tensor.name + ".state1", tensor.name + ".state2"] {
          let own = try file.floats(name, shape: tensor.shape).array
          let expected = try reference.floats(name, shape: tensor.shape).array
          // Row by row, as they are of different sizes; the moments in float32 are fused in other places than torch's.
          for row in 0..<tensor.shape[0] {
            let range = row * tensor.shape[1]..<(row + 1) * tensor.shape[1]
            #expect(largestError(Array(own[range]), Array(expected[range])) < 1e-6, "\(name), row \(row)")
          }
        }
      }
    }
    for tensor in Self.tensors {
      let expected = try reference.floats(tensor.name, shape: tensor.shape).array
      for index in expected.indices {
        let own = parameters[tensor.offset + index]
        // Rounding: an ulp of the parameter and a few of a step of the learning rate's size, in each of six updates.
        #expect(
          abs(own - expected[index]) <= 6 * (expected[index].ulp + 8 * Float(1e-2).ulp), "\(tensor.name) \(index)")
      }
    }
  }

  /// Of all codes and absmax, in the script's order.
  private static func digest(_ file: SafetensorsFile) throws -> Digest {
    var digester = Digester()
    for tensor in tensors where tensor.count >= 4096 {
      for part in ["state1", "state2", "absmax1", "absmax2"] {
        digester.update(try file.bytes(of: "\(tensor.name).\(part)"))
      }
    }
    return digester.finish()
  }

  /// What is read back goes on to the same bits.
  @Test(arguments: Optimizer.allCases) func stateGoesOnFromAFile(_ kind: Optimizer) throws {
    try withTemporaryFolder { folder in
      let (whole, resumed) = (OptimizerState(kind, Self.tensors), OptimizerState(kind, Self.tensors))
      var parameters = Self.parameters()
      try Self.train(whole, &parameters, steps: 1...3)
      try whole.write(to: folder + "/3")
      try resumed.read(folder + "/3")
      var others = parameters
      try Self.train(whole, &parameters, steps: 4...6)
      try Self.train(resumed, &others, steps: 4...6)
      #expect(sameBits(parameters, others))
      try whole.write(to: folder + "/whole")
      try resumed.write(to: folder + "/resumed")
      #expect(try readFile(folder + "/whole") == readFile(folder + "/resumed"))
      #expect(try readFile(folder + "/whole") != readFile(folder + "/3"))
    }
  }

  /// A change to a sound file's tensors, and the words of its error.
  struct Damage: Sendable, CustomStringConvertible {
    var description: String
    var words: String
    /// What becomes of the tensors; bytes by name, dtype and shape.
    var apply: @Sendable (inout [String: (dtype: TensorType, shape: [Int], bytes: [UInt8])]) -> Void
  }

  static let damages: [Damage] = [
    Damage(description: "no codes", words: "has no tensor 'a.state1'") { $0["a.state1"] = nil },
    Damage(description: "no absmax", words: "has no tensor 'b.absmax2'") { $0["b.absmax2"] = nil },
    Damage(description: "no small moments", words: "has no tensor 'tiny.state2'") { $0["tiny.state2"] = nil },
    Damage(description: "a stranger", words: "tensor 'z' is not one") { $0["z"] = (.u8, [1], [0]) },
    Damage(description: "codes of another shape", words: "'a.state2': expected shape [16, 768], found [768, 16]") {
      $0["a.state2"]?.shape = [768, 16]
    },
    Damage(description: "absmax cut", words: "'b.absmax1': expected shape [63], found [62]") {
      $0["b.absmax1"]?.shape = [62]
      $0["b.absmax1"]?.bytes.removeLast(4)
    },
    Damage(description: "signed codes", words: "'least.state1': expected U8, found I8") {
      $0["least.state1"]?.dtype = .i8
    },
    Damage(description: "codes for a small tensor", words: "'small.state1': expected F32, found U8") {
      $0["small.state1"] = (.u8, [16, 255], [UInt8](repeating: 1, count: 16 * 255))
    },
    Damage(description: "absmax NaN", words: "'a.absmax1' holds an infinity or NaN") {
      $0["a.absmax1"]?.bytes.replaceSubrange(40..<44, with: [0, 0, 0xc0, 0x7f])
    },
    Damage(description: "an infinite moment", words: "'small.state2' holds an infinity or NaN") {
      $0["small.state2"]?.bytes.replaceSubrange(0..<4, with: [0, 0, 0x80, 0x7f])
    },
  ]

  @Test(arguments: damages) func damagedStateIsRefused(_ damage: Damage) throws {
    try withTemporaryFolder { folder in
      let path = folder + "/state.safetensors"
      let state = OptimizerState(.adamw8bit, Self.tensors)
      var parameters = Self.parameters()
      try Self.train(state, &parameters, steps: 1...2)
      try state.write(to: path)
      let sound = try SafetensorsFile(path)
      var tensors: [String: (dtype: TensorType, shape: [Int], bytes: [UInt8])] = [:]
      for (name, info) in sound.tensors { tensors[name] = (info.dtype, info.shape, Array(try sound.bytes(of: name))) }
      func write() throws {
        let outputs = tensors.map { name, tensor in
          TensorOutput(name, tensor.dtype, tensor.shape) { sink in try tensor.bytes.withUnsafeBytes { try sink($0) } }
        }
        try writeSafetensors(outputs, metadata: sound.metadata, to: path)
      }
      let bytes = try readFile(path)
      try write()
      #expect(try readFile(path) == bytes)

      damage.apply(&tensors)
      try write()
      let fresh = OptimizerState(.adamw8bit, Self.tensors)
      let error = #expect(throws: SFTError.self) { try fresh.read(path) }
      #expect(error?.kind == .badData && error?.file == path)
      #expect(error?.message.contains(damage.words) == true, "\(error?.message ?? "no error")")
      // Nothing of it was taken.
      try fresh.write(to: path)
      try OptimizerState(.adamw8bit, Self.tensors).write(to: folder + "/zeros")
      #expect(try readFile(path) == readFile(folder + "/zeros"))
    }
  }

  @Test func anotherOptimisersStateIsRefused() throws {
    try withTemporaryFolder { folder in
      for kind in Optimizer.allCases {
        try OptimizerState(kind, Self.tensors).write(to: folder + "/" + kind.rawValue)
      }
      for (own, other) in [(Optimizer.adamw, Optimizer.adamw8bit), (.adamw8bit, .adamw)] {
        let error = #expect(throws: SFTError.self) {
          try OptimizerState(own, Self.tensors).read(folder + "/" + other.rawValue)
        }
        #expect(error?.kind == .usage)
        #expect(
          error?.message == "holds the state of --optimizer \(other.rawValue), and the run's is \(own.rawValue)")
      }
    }
  }
}
