import Core

/// Bytes of records that a vocabulary has no token for, and the first record that has such.
struct LostBytes: Codable, Sendable, Equatable {
  var count: Int
  /// By the place in a list of files, whose names are no part of an artifact.
  var file: Int
  var line: Int

  init(_ count: Int, of record: Conversation) { (self.count, file, line) = (count, record.file, record.line) }

  /// In a sentence without a full stop.
  func warning(_ files: [String]) -> String {
    let name = file < files.count ? files[file] : ""
    return lostBytesWarning(count, first: "\(name):\(line)")
  }
}

/// What to say of bytes that a vocabulary has no token for, the first of them in `first`, as `file:line`; without a full stop.
public func lostBytesWarning(_ count: Int, first: String) -> String {
  "the vocabulary has no token for \(counted(count, "byte")) of the text, which \(count == 1 ? "is" : "are") left out, the "
    + "first in \(first)"
}

extension LostBytes? {
  /// The first place of the sum is that of `sum`, where it has one.
  static func += (sum: inout LostBytes?, other: LostBytes?) {
    guard let other else { return }
    if sum == nil { sum = other } else { sum?.count += other.count }
  }
}
