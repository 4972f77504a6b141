#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Floats as C prints them.
enum NumberText {
  /// `conversion` is the letter of C's format: e, E, f, F, g or G.
  static func float(_ number: Double, _ conversion: UInt8, _ precision: Int) -> String {
    withVaList([Int32(min(precision, 400)), number]) { arguments in
      var buffer = [CChar](repeating: 0, count: 1200)
      let length = vsnprintf(&buffer, buffer.count, "%.*\(Unicode.Scalar(conversion))", arguments)
      return String(decoding: buffer.prefix(Int(max(0, length))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }
}
