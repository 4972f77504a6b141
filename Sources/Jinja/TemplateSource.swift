/// A template's text as jinja2's lexer sees it: lines end in LF, and the last line feed is dropped.
struct TemplateSource {
  let bytes: [UInt8]

  init(_ source: String) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(source.utf8.count)
    var followsReturn = false
    for byte in source.utf8 {
      if byte == 0x0d {
        bytes.append(0x0a)
      } else if byte != 0x0a || !followsReturn {
        bytes.append(byte)
      }
      followsReturn = byte == 0x0d
    }
    if bytes.last == 0x0a { bytes.removeLast() }
    self.bytes = bytes
  }
}
