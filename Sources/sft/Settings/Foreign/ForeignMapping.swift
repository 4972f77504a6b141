import Core
import Pipeline

/// What another tool's settings come to: sft's own, what was left out and why, and what else is to be known.
struct ForeignMapping {
  /// The verb that takes a setting.
  enum Target: String {
    case prepare, train
  }

  /// What it does to the result that a key is left out.
  enum Effect: String, Encodable {
    case none
    case differs
    case unknown
  }

  struct Taken {
    /// The key in the other tool's file.
    var key: String
    var target: Target
    var setting: TypedSetting
    /// Whether the key is not there, and this is what the tool does then.
    var isDefault: Bool
  }

  struct LeftOut: Encodable {
    var key: String
    /// nil where the key is not there.
    var value: ForeignValue?
    var reason: String
    var effect: Effect
  }

  let tool: ForeignTool
  let path: String
  var members: ForeignMembers
  private(set) var taken: [Taken] = []
  private(set) var leftOut: [LeftOut] = []
  private(set) var notes: [String] = []
  /// Of the data that were taken.
  var shape: DataShape?
  /// The learning rate, where it is known.
  var rate: Double?
  /// All updates, where they are known.
  var updates: Int?

  /// Why a value is left out that changes nothing.
  static let usual = "what sft does anyhow"

  init(_ file: ForeignFile, _ tool: ForeignTool) {
    (path, members, self.tool) = (file.path, file.members, tool)
  }

  /// nil where there is no key of that name, or it has no value.
  mutating func find(_ key: String) -> ForeignSetting? { members.find(key) }

  /// Takes a key as an option of sft; nil is the value of a flag that is on.
  mutating func take(_ given: ForeignSetting, _ target: Target, _ option: String, _ value: String?) {
    if option != "files", let earlier = taken.first(where: { $0.target == target && $0.setting.name == option }) {
      leave(given, "\(earlier.key) has set \(option) already", .unknown)
    } else {
      add(given.key, target, option, value)
    }
  }

  /// What the tool does where it is not told, which is not what sft does.
  mutating func state(_ key: String, _ target: Target, _ option: String, _ value: String?) {
    add(key, target, option, value, isDefault: true)
  }

  mutating func add(_ key: String, _ target: Target, _ option: String, _ value: String?, isDefault: Bool = false) {
    taken.append(
      Taken(key: key, target: target, setting: TypedSetting(name: option, value: value), isDefault: isDefault))
  }

  mutating func leave(_ given: ForeignSetting, _ reason: String, _ effect: Effect = .none) {
    // A key that several datasets share is told once.
    if leftOut.contains(where: { $0.key == given.key && $0.reason == reason }) { return }
    leftOut.append(LeftOut(key: given.key, value: given.value, reason: reason, effect: effect))
  }

  /// A default of the tool that sft cannot keep.
  mutating func miss(_ key: String, _ reason: String) {
    leftOut.append(LeftOut(key: key, value: nil, reason: reason, effect: .differs))
  }

  /// One text of several that a key holds.
  mutating func leave(_ name: String, of given: ForeignSetting, _ reason: String) {
    leftOut.append(LeftOut(key: given.key, value: .text(name), reason: reason, effect: .differs))
  }

  mutating func note(_ text: String) { if !notes.contains(text) { notes.append(text) } }

  /// Leaves out those of `keys` that the file has, for one reason.
  mutating func leaveAll(_ keys: [String], _ reason: String, _ effect: Effect = .none) {
    for key in keys { if let given = find(key) { leave(given, reason, effect) } }
  }

  /// The options of a verb, the user's and the tool's defaults apart.
  func settings(_ target: Target, isDefault: Bool) -> [TypedSetting] {
    taken.filter { $0.target == target && $0.isDefault == isDefault }.map(\.setting)
  }

  func has(_ option: String) -> Bool { taken.contains { $0.setting.name == option } }
}
