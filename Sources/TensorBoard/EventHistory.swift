import Core
import Files
import Glibc

/// What the event files of a folder tell their readers, as far as a run that goes on must know it.
public struct EventHistory: Sendable {
  /// By tag, the steps that have it.
  public private(set) var steps: [String: Set<Int>] = [:]

  /// Reads every file up to its first damaged record, which a process that was killed may have left, as readers do.
  public init(_ folder: String) throws {
    for path in try eventFiles(in: folder) {
      var rest = try readFile(path)[...]
      while let record = Self.nextRecord(&rest) { take(EventOutline(record)) }
    }
  }

  /// Cuts the files before their first summary of `step` or a later one. Not every reader minds a `SessionLog.START` in
  /// everything: TensorBoard's own `EventAccumulator` keeps texts.
  public static func removeSummaries(from step: Int, in folder: String) throws {
    for path in try eventFiles(in: folder) {
      let bytes = try readFile(path)
      var rest = bytes[...]
      while true {
        let offset = rest.startIndex
        guard let record = nextRecord(&rest) else { break }
        let outline = EventOutline(record)
        if !outline.tags.isEmpty, outline.step >= step {
          guard truncate(path, offset) == 0 else { throw systemError("write", path) }
          break
        }
      }
    }
  }

  private static func nextRecord(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    let length = rest.prefix(8)
    let count = number(length)
    guard rest.count >= 16, count <= UInt64(rest.count - 16),
      number(rest.dropFirst(8).prefix(4)) == UInt64(CRC32C.masked(length))
    else { return nil }
    let bytes = rest.dropFirst(12).prefix(Int(count))
    rest = rest.dropFirst(12 + Int(count))
    guard number(rest.prefix(4)) == UInt64(CRC32C.masked(bytes)) else { return nil }
    rest = rest.dropFirst(4)
    return bytes
  }

  private mutating func take(_ event: EventOutline) {
    if event.isStart { for tag in steps.keys { steps[tag] = steps[tag]?.filter { $0 < event.step } } }
    for tag in event.tags { steps[tag, default: []].insert(event.step) }
  }
}

/// What an event is about.
private struct EventOutline {
  var step = 0
  var tags: [String] = []
  var isStart = false

  init(_ event: ArraySlice<UInt8>) {
    for (field, value) in ProtobufFields(event) {
      switch (field, value) {
      case (2, .varint(let number)): step = Int(truncatingIfNeeded: number)
      case (5, .bytes(let summary)):
        for case (1, .bytes(let value)) in ProtobufFields(summary) {
          for case (1, .bytes(let tag)) in ProtobufFields(value) { tags.append(String(decoding: tag, as: UTF8.self)) }
        }
      case (7, .bytes(let session)):
        for case (1, .varint(let status)) in ProtobufFields(session) { isStart = status == EventField.sessionStart }
      default: break
      }
    }
  }
}
