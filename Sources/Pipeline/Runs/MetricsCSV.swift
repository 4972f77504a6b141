import Training

extension RecordedRun {
  /// The run's metrics as RFC 4180 has it: a header, then one row an update, in which the validation after it stands too.
  /// The columns are always these, empty where there is no value; all are numbers. Throws `badData` for a damaged
  /// `metrics.jsonl`, naming the line.
  public func metricsCSV() throws -> String {
    let metrics = try Metric.read(folder.metrics)
    var validations: [Int: EvalMetric] = [:]
    for case .eval(let metric) in metrics { validations[metric.step] = metric }
    let header = [
      "step", "loss", "accuracy", "lr", "grad_norm", "tokens", "supervised_tokens", "seconds", "elapsed",
      "tokens_per_second", "eval_loss", "eval_perplexity", "eval_accuracy",
    ]
    let rows = metrics.compactMap { metric -> [String]? in
      guard case .train(let update) = metric else { return nil }
      let validation = validations[update.step]
      return [
        "\(update.step)", "\(update.loss)", "\(update.accuracy)", "\(update.lr)", "\(update.grad_norm)",
        "\(update.tokens)", "\(update.supervised_tokens)", "\(update.seconds)", "\(update.elapsed)",
        "\(update.tokens_per_second)",
      ] + [validation?.loss, validation?.perplexity, validation?.accuracy].map { $0.map { "\($0)" } ?? "" }
    }
    return ([header] + rows).map { $0.joined(separator: ",") + "\r\n" }.joined()
  }
}
