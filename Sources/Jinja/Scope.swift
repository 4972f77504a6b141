/// The variables of one turn of a loop, one call of a macro, one `with`: what is set in it is not seen outside.
final class Scope {
  let parent: Scope?
  private var names: [Int] = []
  private var values: [Value] = []
  /// A macro that was defined in it may still look into it.
  var isCaptured = false

  init(parent: Scope?) { self.parent = parent }

  func set(_ name: Int, _ value: Value) {
    for place in names.indices.reversed() where names[place] == name {
      values[place] = value
      return
    }
    names.append(name)
    values.append(value)
  }

  func own(_ name: Int) -> Value? {
    for place in names.indices where names[place] == name { return values[place] }
    return nil
  }

  func removeAll() {
    names.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
  }
}
