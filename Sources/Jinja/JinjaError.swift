/// What went wrong with a template or while one was rendered.
package struct JinjaError: Error, Equatable {
  package enum Kind: Sendable, Equatable {
    /// The text is no template.
    case syntax
    /// The template called `raise_exception`: it does not accept what it was given.
    case raised
    /// It does something that Python's jinja2 fails at too: arithmetic on what is undefined, a missing argument …
    case runtime
    /// It took more steps, memory, depth or text than one rendering may.
    case limit
  }

  package var kind: Kind
  /// One sentence without a full stop at its end; for `raised`, the template's own words.
  package var message: String
  /// 1-based line in the template; 0 where none is known yet.
  package var line: Int

  package init(_ kind: Kind, _ message: String, line: Int = 0) {
    self.kind = kind
    self.message = message
    self.line = line
  }
}
