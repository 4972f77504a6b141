import Core

/// A key that means what one option of sft means.
struct ForeignRow {
  enum Kind {
    case whole(ClosedRange<Int>)
    case number(ClosedRange<Double>)
    /// Above 0.
    case positive
    /// On, or what sft does anyhow.
    case flag
  }

  var key: String
  var target: ForeignMapping.Target
  var option: String
  var kind: Kind
  /// What the tool does where the key is not there; nil where sft does the same, or that is not known.
  var missing: String?

  init(_ key: String, _ target: ForeignMapping.Target, _ option: String, _ kind: Kind, missing: String? = nil) {
    (self.key, self.target, self.option, self.kind, self.missing) = (key, target, option, kind, missing)
  }
}

extension ForeignMapping {
  mutating func apply(_ rows: [ForeignRow]) throws {
    for row in rows {
      guard let given = find(row.key) else {
        if let missing = row.missing { state(row.key, row.target, row.option, missing) }
        continue
      }
      switch row.kind {
      case .whole(let range): take(given, row.target, row.option, String(try given.whole(range)))
      case .number(let range): take(given, row.target, row.option, plainNumber(try given.number(in: range)))
      case .positive: take(given, row.target, row.option, plainNumber(try given.positive()))
      case .flag:
        if try given.flag() { take(given, row.target, row.option, nil) } else { leave(given, Self.usual) }
      }
    }
  }

  /// The seed of the split and of the run.
  mutating func takeSeed() throws {
    guard let given = find("seed") else { return }
    let seed = String(try given.whole(0...1_000_000_000_000_000))
    add(given.key, .prepare, "seed", seed)
    add(given.key, .train, "seed", seed)
  }
}
