import Core
import Evaluating
import Files
import FoundationEssentials
import JSON
import Reporting

extension Measure {
  /// What it is called before people.
  public var title: String {
    switch self {
    case .loss: "loss of the expected"
    case .bitsPerByte: "bits per byte"
    case .tokenAccuracy: "token accuracy"
    case .choiceAccuracy: "right choices"
    case .exactMatch: "exactly as expected"
    case .exactMatchNormalised: "exact, normalised"
    case .tokenF1: "token F1"
    case .rougeL: "ROUGE-L"
    case .endedWithEOS: "ended with EOS"
    case .endProbability: "P(EOS) at the end"
    case .repetition: "repetition"
    case .echo: "echo of the prompt"
    }
  }
}

/// A comparison as files: `compare.json`, whose digest is what votes are cast on, and the pages.
public struct ComparisonFiles {
  /// `compare.json`, byte for byte.
  public let json: [UInt8]
  public let comparison: Comparison
  public var digest: Digest { json.withUnsafeBytes { Digest(of: $0) } }

  public init(_ comparison: Comparison) throws {
    self.comparison = comparison
    json = Array(try reportEncoder(pretty: true).encode(comparison)) + [UInt8(ascii: "\n")]
  }

  /// Reads a `compare.json`.
  ///
  /// Throws `badData` for something else, or one that a version of sft without measures wrote.
  public init(path: String) throws {
    json = try readFile(path)
    do {
      comparison = try reportDecoder().decode(Comparison.self, from: Data(json))
    } catch is DecodingError {
      throw SFTError(
        .badData, "is not a comparison of this version of sft", file: path, advice: "Run sft compare again")
    }
  }

  private struct PageData: Encodable {
    var comparison: Comparison
    var names: [String]
    var titles: [String: String]
    var votes: [String?]?
    var origin: Origin
  }

  private struct BlindPageData: Encodable {
    struct Item: Encodable {
      var question: String
      var input: String?
      var left: String
      var right: String
    }
    var digest: Digest
    var items: [Item]
  }

  /// The page that shows everything; with the loss curves of `metrics` (a run's `metrics.jsonl`), what was voted, and the
  /// command it is made by. `compare.json` does not hold that: the same comparison stays the same file.
  public func page(metrics: String?, votes: VoteCount? = nil) throws -> String {
    let names = comparison.names
    let preferred = votes.map { votes in
      let byItem = Dictionary(uniqueKeysWithValues: votes.items.map { ($0.item, $0.preferred) })
      return comparison.items.indices.map { index -> String? in
        byItem[index].map { $0 == .tuned ? names[1] : $0 == .base ? names[0] : "tie" }
      }
    }
    let data = PageData(
      comparison: comparison, names: names,
      titles: Dictionary(uniqueKeysWithValues: Measure.allCases.map { ($0.rawValue, $0.title) }), votes: preferred,
      origin: .here)
    var encoded = Array(try reportEncoder().encode(data))
    if let metrics {
      // Lines of our own making; one that a stopped run left half-written is passed over.
      encoded =
        Array(encoded.dropLast()) + Array(",\"metrics\":".utf8) + (try metricsArray(metrics)) + [UInt8(ascii: "}")]
    }
    return Page(.comparison, title: "\(names[1]) against \(names[0])", data: encoded).html
  }

  /// The page to vote on: the answers left and right as `BlindVotes` shuffles them, and nothing that tells them apart.
  public func blindPage() throws -> String {
    let left = BlindVotes.tunedIsLeft(
      comparison.items.count, comparison: digest, seed: comparison.settings.generation.seed)
    let items = zip(comparison.items, left).map { item, tunedIsLeft in
      BlindPageData.Item(
        question: item.question, input: item.input, left: tunedIsLeft ? item.tuned.text : item.base.text,
        right: tunedIsLeft ? item.base.text : item.tuned.text)
    }
    let data = try reportEncoder().encode(BlindPageData(digest: digest, items: items))
    return Page(.vote, title: "Which answer is better?", data: Array(data)).html
  }
}

/// The sound lines of a `metrics.jsonl` as one JSON array.
func metricsArray(_ path: String) throws -> [UInt8] {
  let lines = try readFile(path).split(separator: UInt8(ascii: "\n")).filter { line in
    (try? Array(line).withUnsafeBytes { try parseJSON($0, file: path) })?.object != nil
  }
  return [UInt8(ascii: "[")] + Array(lines.joined(separator: [UInt8(ascii: ",")])) + [UInt8(ascii: "]")]
}
