import Crypto

/// The hash that a file's content is known by to git, or to its store of large files.
public struct ContentHash: Sendable {
  private enum Kind {
    case sha256(SHA256)
    case gitBlob(Insecure.SHA1)
  }

  private var kind: Kind

  /// SHA-256 where `name` has 64 hexadecimal digits; the SHA-1 of a git blob of `size` bytes where it has 40; nil for
  /// any other.
  public init?(named name: String, size: Int) {
    guard name.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }) else { return nil }
    switch name.utf8.count {
    case 64: kind = .sha256(SHA256())
    case 40:
      var hash = Insecure.SHA1()
      Array("blob \(size)\u{0}".utf8).withUnsafeBytes { hash.update(bufferPointer: $0) }
      kind = .gitBlob(hash)
    default: return nil
    }
  }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    switch kind {
    case .sha256(var hash):
      hash.update(bufferPointer: bytes)
      kind = .sha256(hash)
    case .gitBlob(var hash):
      hash.update(bufferPointer: bytes)
      kind = .gitBlob(hash)
    }
  }

  /// As hexadecimal digits.
  public var hex: String {
    func text(_ bytes: some Sequence<UInt8>) -> String {
      bytes.map { byte in
        let digits = String(byte, radix: 16)
        return byte < 16 ? "0" + digits : digits
      }.joined()
    }
    return switch kind {
    case .sha256(let hash): text(hash.finalize())
    case .gitBlob(let hash): text(hash.finalize())
    }
  }
}
