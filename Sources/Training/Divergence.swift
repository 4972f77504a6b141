import Core

/// A loss or gradient that is not a finite number, which ends a run.
struct Divergence {
  /// Where it was found.
  enum Place {
    /// In an update, over these training records.
    case update(records: [String], loss: Double)
    /// In the validation after an update.
    case validation
  }

  var place: Place
  /// The update, from 1.
  var step: Int
  /// Its learning rate.
  var rate: Double
  /// Step of the newest checkpoint.
  var kept: Int?

  var error: SFTError {
    let (what, named, suspects) =
      switch place {
      case .update(let records, let loss):
        ("\(loss.isFinite ? "gradient" : "loss") of", ", over the records \(Self.listed(records))", "those records")
      case .validation: ("validation loss after", "", "the validation records")
      }
    let checkpoint = kept.map { "; the checkpoint of step \($0) is kept" } ?? ""
    return SFTError(
      .internalError,
      "the \(what) step \(step) is not a finite number at the learning rate \(shortRate(rate))\(named)\(checkpoint)",
      advice: "Try a lower \(OptionName.lr), or a warm-up with \(OptionName.warmupSteps), or look at \(suspects)")
  }

  private static func listed(_ records: [String]) -> String {
    records.prefix(8).joined(separator: ", ") + (records.count > 8 ? " and \(records.count - 8) more" : "")
  }
}
