import Core

extension TrainingSettings {
  /// Settings that are allowed but hardly meant, each as a sentence. `cores` are those that this process may use.
  public func remarks(cores: Int) -> [String] {
    var remarks: [String] = []
    if threads > cores {
      remarks.append(
        "\(grouped(threads)) threads are more than the \(counted(cores, "core")) that this process may use: more than "
          + "one on a core only wait for each other.")
    }
    let warmup = schedule.warmupSteps
    if warmup >= steps {
      let highest = schedule.rate(at: steps - 1, of: steps)
      remarks.append(
        "The warm-up of \(counted(warmup, "update")) \(warmup > steps ? "is longer than" : "takes up") the run of "
          + "\(counted(steps, "update")): the learning rate reaches \(shortRate(highest)), not the "
          + "\(shortRate(schedule.learningRate)) of \(OptionName.lr).")
    }
    return remarks
  }
}
