import Core
import JSON

/// A parsed template.
package struct JinjaTemplate: Sendable {
  package init(source: String) throws {
    _ = source
  }
}
