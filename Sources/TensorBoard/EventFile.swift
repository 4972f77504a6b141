import Core
import Files
import Glibc

/// An event file that TensorBoard reads, written record by record: `events.out.tfevents.TIME.HOST.PID`.
///
/// A record is TFRecord's: its length in 64 bits, the length's masked CRC-32C, the bytes, their masked CRC-32C; all
/// little-endian, each record in one write.
public final class EventFile {
  public let path: String
  private let file: AppendFile

  /// A new file in `folder`, which is made; readers take it up after those that are there, and forget what those say of
  /// `firstStep` and the steps after it. Throws `cannotCreate` or `inputOutput`.
  public init(in folder: String, firstStep: Int, wallTime: Double) throws {
    try createDirectory(folder)
    // They are read in the order of their names.
    let latest = try eventFiles(in: folder).compactMap { Self.time(of: $0) }.max() ?? 0
    let time = String(max(Int(wallTime), latest + 1))
    let name = "events.out.tfevents.\(String(repeating: "0", count: max(0, 10 - time.count)))\(time)"
    path = "\(folder)/\(name).\(Self.host).\(getpid())"
    file = try AppendFile(path)
    try write(.version(wallTime: wallTime))
    try write(.start(step: firstStep, wallTime: wallTime))
  }

  public func write(_ event: Event) throws { try file.write(Self.record(event.bytes)) }

  public func sync() throws { try file.sync() }

  package static func record(_ bytes: [UInt8]) -> [UInt8] {
    let length = littleEndianBytes(UInt64(bytes.count))
    return length + littleEndianBytes(CRC32C.masked(length)) + bytes + littleEndianBytes(CRC32C.masked(bytes))
  }

  private static func time(of path: String) -> Int? {
    let parts = lastPathComponent(path).split(separator: ".")
    return parts.firstIndex(of: "tfevents").flatMap { parts.indices.contains($0 + 1) ? Int(parts[$0 + 1]) : nil }
  }

  private static var host: String {
    var buffer = [CChar](repeating: 0, count: 256)
    gethostname(&buffer, buffer.count - 1)
    let name = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let plain = String(decoding: name, as: UTF8.self).filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
    return plain.isEmpty ? "localhost" : plain
  }
}

/// The event files of a folder, in the order in which they are read; none where there is no folder.
public func eventFiles(in folder: String) throws -> [String] {
  guard try directoryExists(folder) else { return [] }
  return try directoryEntries(folder).filter { $0.contains("tfevents") }.map { folder + "/" + $0 }
}
