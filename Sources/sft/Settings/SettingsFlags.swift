import ArgumentParser
import Pipeline
import Synchronization

/// Options in a file, named by `--config`. It is taken in before anything is parsed: `TypedArguments.withSettings`.
struct SettingsFlags: ParsableArguments {
  @Option(name: .long, help: .takes("FILE", "Options in YAML, named as here without dashes; those that are typed win."))
  var config: String?

  @Flag(name: .long, help: "Print what would run as such a file, and do nothing.")
  var printConfig = false
}

/// Options in a file, named by `--settings`: for a verb whose `--config` is a model's.
struct NamedSettingsFlags: ParsableArguments {
  @Option(name: .long, help: .takes("FILE", "Options in YAML, named as here without dashes; those that are typed win."))
  var settings: String?

  @Flag(name: .long, help: "Print what would run as such a file, and do nothing.")
  var printConfig = false
}

/// What the running command was given, in a file and typed; set once, before it runs.
enum GivenSettings {
  private static let settings = Mutex<[TypedSetting]>([])

  static var current: [TypedSetting] {
    get { settings.withLock { $0 } }
    set { settings.withLock { $0 = newValue } }
  }
}
