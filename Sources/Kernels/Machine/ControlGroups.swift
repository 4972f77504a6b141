import Glibc

/// The folders of the control groups that this process is in, and of those above them, version 2 or 1.
package struct ControlGroups: Sendable {
  package struct Folder: Sendable {
    package var path: String
    /// Version 2.
    package var isUnified: Bool
  }

  package let folders: [Folder]

  /// The folders of the control groups that limit what `controller` does; `root` is put before the system's paths.
  package init(_ controller: String, root: String = "") {
    let mount = root + "/sys/fs/cgroup"
    var folders = [Folder(path: mount, isUnified: true)]
    for line in (Self.readText(root + "/proc/self/cgroup") ?? "").split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let controllers = parts[1].split(separator: ",")
      // "0::/path" in version 2, "4:cpu,cpuacct:/path" in version 1.
      guard controllers.isEmpty || controllers.contains(where: { $0 == controller }) else { continue }
      let isUnified = controllers.isEmpty
      var folder = isUnified ? mount : "\(mount)/\(parts[1])"
      folders.append(Folder(path: folder, isUnified: isUnified))
      for name in parts[2].split(separator: "/") {
        folder += "/" + name
        folders.append(Folder(path: folder, isUnified: isUnified))
      }
    }
    self.folders = folders
  }

  /// A small file of the system's, up to `limit` bytes of it, or nil.
  package static func readText(_ path: String, limit: Int = 1 << 14) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: limit)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}
