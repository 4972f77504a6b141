/// What an event file holds, as TensorFlow's `event.proto` and `summary.proto` number it.
public struct Event: Sendable {
  /// A value of a hyper-parameter.
  public enum Parameter: Sendable {
    case number(Double)
    case text(String)
    case flag(Bool)
  }

  package let bytes: [UInt8]

  private init(step: Int, wallTime: Double, _ build: (inout ProtobufMessage) -> Void) {
    var message = ProtobufMessage()
    message.add(1, wallTime)
    message.add(2, step)
    build(&message)
    bytes = message.bytes
  }

  /// The first of every file.
  static func version(wallTime: Double) -> Event {
    Event(step: 0, wallTime: wallTime) { $0.add(3, "brain.Event:2") }
  }

  /// `SessionLog.START`: readers forget what earlier files say of `step` and the steps after it.
  static func start(step: Int, wallTime: Double) -> Event {
    Event(step: step, wallTime: wallTime) { $0.add(7) { $0.add(1, EventField.sessionStart) } }
  }

  /// Scalars of one step; wall times are in seconds since 1970.
  public static func scalars(_ values: [(tag: String, value: Double)], step: Int, wallTime: Double) -> Event {
    summary(step: step, wallTime: wallTime) { summary in
      for (tag, value) in values {
        summary.add(1) {
          $0.add(1, tag)
          $0.add(2, Float(value))
        }
      }
    }
  }

  /// A text, which TensorBoard shows as Markdown.
  public static func text(_ tag: String, _ markdown: String, step: Int, wallTime: Double) -> Event {
    summary(step: step, wallTime: wallTime) { summary in
      summary.add(1) { value in
        value.add(1, tag)
        // TensorProto: strings, of shape [1].
        value.add(8) {
          $0.add(1, 7)
          $0.add(2) { $0.add(2) { $0.add(1, 1) } }
          $0.add(8, markdown)
        }
        metadata(&value, plugin: "text", content: ProtobufMessage())
      }
    }
  }

  /// The hparams plugin's description of a run: its parameters, and which scalars its table is to show.
  public static func hyperParameters(
    _ parameters: [(name: String, value: Parameter)], metrics: [String], wallTime: Double
  ) -> Event {
    var experiment = ProtobufMessage()
    experiment.add(3, wallTime)
    for (name, value) in parameters {
      experiment.add(4) {
        $0.add(1, name)
        $0.add(4, value.dataType)
      }
    }
    for metric in metrics { experiment.add(5) { $0.add(1) { $0.add(2, metric) } } }
    var start = ProtobufMessage()
    for (name, value) in parameters {
      // An entry of map<string, google.protobuf.Value>.
      start.add(1) {
        $0.add(1, name)
        $0.add(2) { value.add(to: &$0) }
      }
    }
    start.add(5, wallTime)
    return summary(step: 0, wallTime: wallTime) { summary in
      hparams(&summary, "_hparams_/experiment") { $0.add(2, experiment) }
      hparams(&summary, "_hparams_/session_start_info") { $0.add(3, start) }
    }
  }

  /// The run has come to its end.
  public static func finished(wallTime: Double) -> Event {
    summary(step: 0, wallTime: wallTime) { summary in
      hparams(&summary, "_hparams_/session_end_info") {
        $0.add(4) {
          $0.add(1, 1)
          $0.add(2, wallTime)
        }
      }
    }
  }

  private static func summary(step: Int, wallTime: Double, _ build: (inout ProtobufMessage) -> Void) -> Event {
    Event(step: step, wallTime: wallTime) { $0.add(5, build) }
  }

  /// A value that is nothing but its metadata.
  private static func hparams(
    _ summary: inout ProtobufMessage, _ tag: String, _ data: (inout ProtobufMessage) -> Void
  ) {
    var content = ProtobufMessage()
    data(&content)
    summary.add(1) { value in
      value.add(1, tag)
      // TensorProto: floats, of shape [0].
      value.add(8) {
        $0.add(1, 1)
        $0.add(2) { $0.add(2) { _ in } }
      }
      metadata(&value, plugin: "hparams", content: content)
    }
  }

  private static func metadata(_ value: inout ProtobufMessage, plugin: String, content: ProtobufMessage) {
    value.add(9) {
      $0.add(1) {
        $0.add(1, plugin)
        if !content.bytes.isEmpty { $0.add(2, content) }
      }
      // DATA_CLASS_TENSOR
      $0.add(4, 2)
    }
  }
}

extension Event.Parameter {
  fileprivate var dataType: Int {
    switch self {
    case .text: 1
    case .flag: 2
    case .number: 3
    }
  }

  /// As a `google.protobuf.Value`.
  fileprivate func add(to message: inout ProtobufMessage) {
    switch self {
    case .number(let value): message.add(2, value)
    case .text(let value): message.add(3, value)
    case .flag(let value): message.add(4, value)
    }
  }
}

enum EventField {
  static let sessionStart = 1
}
