/// What one rendering may take: a template is foreign code.
package struct JinjaLimits: Sendable {
  /// Expressions evaluated and items walked over.
  package var steps = 20_000_000
  /// Bytes of all texts and lists that are made on the way, the output among them.
  package var bytes = 256 << 20
  /// Expressions, statements and macros within one another.
  package var depth = 1_500
  /// Lists and dictionaries within one another.
  package var nesting = 160

  package init() {}

  /// As many more as what is rendered is large: a long conversation is no hostile template.
  package func forInput(bytes input: Int) -> JinjaLimits {
    var limits = self
    limits.steps += 100 * input
    limits.bytes += 64 * input
    return limits
  }
}
