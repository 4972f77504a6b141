#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The moment that a template takes for now. It is an input, recorded with the data and the run, so that what is rendered
/// does not change from day to day.
public struct PinnedDate: Sendable, Equatable, CustomStringConvertible {
  public let year: Int
  /// 1 to 12.
  public let month: Int
  /// 1 to 31.
  public let day: Int
  public let hour: Int
  public let minute: Int
  public let second: Int

  /// nil where there is no such moment in the proleptic Gregorian calendar, years 1 to 9999.
  public init?(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
    guard (1...9999).contains(year), (1...12).contains(month), day >= 1, day <= Self.days(in: month, of: year),
      (0..<24).contains(hour), (0..<60).contains(minute), (0..<60).contains(second)
    else { return nil }
    (self.year, self.month, self.day) = (year, month, day)
    (self.hour, self.minute, self.second) = (hour, minute, second)
  }

  /// Reads `2024-07-26`, also with `T` or a space and `14:30:00`; the inverse of `description`.
  public init?(_ text: String) {
    let halves = text.split(omittingEmptySubsequences: false) { $0 == "T" || $0 == " " }
    guard let date = halves.first.map({ Self.numbers($0, "-", [4, 2, 2]) }) ?? nil else { return nil }
    var time = [0, 0, 0]
    if halves.count == 2 {
      guard let given = Self.numbers(halves[1], ":", [2, 2, 2]) else { return nil }
      time = given
    }
    guard halves.count <= 2 else { return nil }
    self.init(year: date[0], month: date[1], day: date[2], hour: time[0], minute: time[1], second: time[2])
  }

  /// This machine's local time.
  public static func now() -> PinnedDate {
    var seconds = time(nil)
    var parts = tm()
    localtime_r(&seconds, &parts)
    return PinnedDate(
      year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday), hour: Int(parts.tm_hour),
      minute: Int(parts.tm_min), second: min(59, Int(parts.tm_sec))) ?? .epoch
  }

  private static let epoch = PinnedDate(unchecked: 1970)

  private init(unchecked year: Int) {
    (self.year, month, day, hour, minute, second) = (year, 1, 1, 0, 0, 0)
  }

  /// `2024-07-26`, with ` 14:30:00` behind it unless it is midnight.
  public var description: String {
    let date = "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(day, 2))"
    guard hour + minute + second > 0 else { return date }
    return "\(date) \(Self.padded(hour, 2)):\(Self.padded(minute, 2)):\(Self.padded(second, 2))"
  }

  /// 1 to 366.
  public var dayOfYear: Int { (1..<month).reduce(day) { $0 + Self.days(in: $1, of: year) } }

  /// 0 for Monday to 6 for Sunday.
  public var weekday: Int {
    let before = year - 1
    return (before * 365 + before / 4 - before / 100 + before / 400 + dayOfYear - 1) % 7
  }

  private static func days(in month: Int, of year: Int) -> Int {
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    return month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
  }

  private static func numbers(_ text: Substring, _ separator: Character, _ widths: [Int]) -> [Int]? {
    let parts = text.split(separator: separator, omittingEmptySubsequences: false)
    guard parts.map(\.utf8.count) == widths, parts.allSatisfy({ $0.utf8.allSatisfy { (48..<58).contains($0) } })
    else { return nil }
    return parts.compactMap { Int($0) }
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
