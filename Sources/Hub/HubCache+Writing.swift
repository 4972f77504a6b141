import Core
import Files
import Glibc

extension HubCache {
  /// Marks the cache for programs that make backups.
  func tag() throws {
    let path = folder + "/CACHEDIR.TAG"
    guard try !fileExists(path) else { return }
    try writeAtomically(
      """
      Signature: 8a477f597d28d172789f06886806bc55
      # This is a cache of files of the Hugging Face hub. For information about cache directory tags, see:
      #	https://bford.info/cachedir/

      """, to: path)
  }

  /// Gives a blob its name in a snapshot, by a link that holds wherever the cache is moved to.
  func link(_ snapshot: String, _ path: String, to hash: String) throws {
    let name = snapshot + "/" + path
    try createDirectory(parentPath(name))
    let depth = path.utf8.count { $0 == UInt8(ascii: "/") }
    let target = String(repeating: "../", count: depth + 2) + "blobs/" + hash
    if Self.destination(of: name) == target { return }
    let temporary = TemporaryName.make(beside: name)
    guard symlink(target, temporary) == 0 else { throw systemError("link", name) }
    guard rename(temporary, name) == 0 else {
      let number = errno
      unlink(temporary)
      throw systemError("link", name, number)
    }
  }

  /// Gives a blob its name in a snapshot as a file, where links are not wanted: the same file twice where the file system can.
  func place(_ snapshot: String, _ path: String, from blob: String) throws {
    let name = snapshot + "/" + path
    try createDirectory(parentPath(name))
    guard let real = canonicalPath(blob) else { throw systemError("read", blob) }
    let temporary = TemporaryName.make(beside: name)
    if Glibc.link(real, temporary) != 0 { try copyFile(real, to: temporary) }
    guard rename(temporary, name) == 0 else {
      let number = errno
      unlink(temporary)
      throw systemError("rename", name, number)
    }
  }

  private static func destination(of path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink(path, $0, bytes.count) } ?? -1
    }
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }
}
