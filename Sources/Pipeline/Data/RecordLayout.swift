import Artifacts
import Core
import Loading
import SampleEncoding
import Templating

/// How records are laid out, as it is chosen by name, recorded with data and runs, and taken up again.
struct RecordLayout: Sendable {
  /// What `--template` takes for the model's own chat template.
  static let modelName = "model"
  /// For no template.
  static let plainName = "none"

  let template: SampleTemplate
  /// As it was asked for: a name, or a file's path.
  let name: String

  /// Text of the template as it was written; empty for none.
  var source: String {
    switch template {
    case .plain: ""
    case .prompt(let template): template.source
    case .chat(let template, _): template.source
    }
  }

  var isChat: Bool { if case .chat = template { true } else { false } }

  /// Whether descriptions of tools have a place in it.
  var showsTools: Bool {
    if case .chat(let template, _) = template { template.source.contains("tools") } else { false }
  }

  /// The date that the template takes for today's, where it asks for one.
  var date: PinnedDate? {
    if case .chat(let template, let date) = template, template.asksForDate { date } else { nil }
  }

  init(_ template: SampleTemplate, name: String) { (self.template, self.name) = (template, name) }

  init(_ template: PromptTemplate) { self.init(.prompt(template), name: template.name) }

  /// `model`, `none`, a shipped prompt template, a built-in chat template, or a template's file: one whose name ends in
  /// `.jinja` is a chat template.
  init(named name: String, folder: String, date: PinnedDate) throws {
    if name == Self.plainName {
      self.init(.plain, name: name)
    } else if name == Self.modelName {
      guard let template = try ChatTemplate.of(folder: folder) else {
        throw SFTError(
          .badData, "the model has no chat template, which conversations need", file: folder,
          advice: "Name one with \(OptionName.template): " + ChatTemplate.builtInNames.joined(separator: ", "))
      }
      self.init(.chat(template, date), name: name)
    } else if let template = try ChatTemplate.builtIn(name, folder: folder),
      !PromptTemplate.shippedNames.contains(name)
    {
      self.init(.chat(template, date), name: name)
    } else if name.hasSuffix(".jinja") {
      self.init(.chat(try ChatTemplate(file: name, folder: folder), date), name: name)
    } else {
      self.init(try PromptTemplate.named(name))
    }
  }

  /// For data of these formats where no template is named: conversations take the model's own, texts none.
  static func defaultName(_ formats: [DataFormat], conversations: Int) -> String {
    if conversations > 0 { return modelName }
    if formats.contains(where: { $0 == .alpaca || $0 == .qa }) { return PromptTemplate.shippedNames[0] }
    return plainName
  }

  private var kind: RecordedLayout.Kind {
    switch template {
    case .plain: .none
    case .prompt: .prompt
    case .chat: .chat
    }
  }

  /// What a later verb needs besides name and source to lay records out so again.
  func recorded(_ trainOn: TrainedTurns) -> RecordedLayout {
    RecordedLayout(kind: kind, date: date?.description, trainOn: trainOn)
  }

  /// The layout that data or a run were made with, for the model in `folder`; without `recorded` it is a prompt template.
  ///
  /// Throws `badData` where the model's own template is no longer what it was.
  init(_ recorded: RecordedLayout?, name: String, source: String, folder: String) throws {
    switch recorded?.kind ?? .prompt {
    case .none: self.init(.plain, name: name)
    case .prompt: self.init(try PromptTemplate(source: source, name: name))
    case .chat:
      try self.init(named: name, folder: folder, date: recorded?.date.flatMap { PinnedDate($0) } ?? .today)
      guard self.source == source else {
        throw SFTError(
          .badData, "the chat template is not the one that the data were prepared with", file: folder,
          advice: "Name one with \(OptionName.template), or run `sft prepare` again")
      }
    }
  }

  /// The layout of prepared data.
  init(_ summary: PreparedSummary, folder: String) throws {
    try self.init(summary.layout, name: summary.templateName, source: summary.template, folder: folder)
  }

  /// For an artifact's key.
  var settings: [Setting] {
    return [Setting("layout", kind.rawValue), Setting("template", source), Setting("date", date?.description ?? "")]
  }
}

/// A layout as data and runs record it, beside the template's name and text.
public struct RecordedLayout: Sendable, Codable, Equatable {
  public enum Kind: String, Sendable, Codable { case none, prompt, chat }

  public var kind: Kind
  /// What the template takes for today's date, where it asks for one.
  public var date: String?
  public var trainOn: TrainedTurns

  /// What is trained, in words.
  public var words: String {
    switch trainOn {
    case .assistant: "trained on every turn of the assistant"
    case .last: "trained on the last turn of the assistant"
    case .all: "trained on all that is written"
    }
  }
}

extension PinnedDate {
  /// The day that it is, so that what is made twice on a day is the same.
  static var today: PinnedDate {
    let now = PinnedDate.now()
    return PinnedDate(year: now.year, month: now.month, day: now.day) ?? now
  }
}
