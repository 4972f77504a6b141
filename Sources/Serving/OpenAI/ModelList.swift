import JSON

/// The answers of `/v1/models`.
enum ModelList {
  static func json(_ models: [ServedModel]) -> String {
    let members: [(key: String, value: JSONValue)] = [
      ("object", .string("list")), ("data", .array(models.map { value($0) })),
    ]
    return JSONValue.object(JSONObject(members)).serialized
  }

  static func json(_ model: ServedModel) -> String { value(model).serialized }

  private static func value(_ model: ServedModel) -> JSONValue {
    .object(
      JSONObject([
        ("id", .string(model.id)), ("object", .string("model")), ("created", .integer(model.created)),
        ("owned_by", .string("sft")), ("root", .string(model.base ?? model.id)),
        ("parent", model.base.map { .string($0) } ?? .null),
      ]))
  }
}
