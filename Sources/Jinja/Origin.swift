/// Where a run of text came from, and whether it stands inside `{% generation %}`.
struct Origin: Equatable, Sendable {
  /// Bit 0: inside generation. Above: 0 for the template, 1 for data of no message, then messages from 2.
  private var raw: Int32

  private init(raw: Int32) { self.raw = raw }

  static let template = Origin(raw: 0)
  static let data = Origin(raw: 1 << 1)

  static func message(_ index: Int) -> Origin { Origin(raw: Int32(truncatingIfNeeded: index + 2) << 1) }

  var isTemplate: Bool { raw >> 1 == 0 }

  /// nil for the template and for data of no message.
  var message: Int? { raw >> 1 >= 2 ? Int(raw >> 1) - 2 : nil }

  var inGeneration: Bool { raw & 1 == 1 }

  var insideGeneration: Origin { Origin(raw: raw | 1) }
}
