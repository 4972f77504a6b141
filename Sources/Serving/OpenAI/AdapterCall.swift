import JSON

/// A request to `/v1/load_lora_adapter` or `/v1/unload_lora_adapter`.
struct AdapterCall: Sendable, Equatable {
  var name: String
  /// nil where it is to be unloaded.
  var folder: String?

  init(loading: Bool, _ body: JSONValue) throws(APIError) {
    guard let object = body.object else {
      throw .invalid("The request's body must be a JSON object, but is \(body.kind).", nil)
    }
    var fields = RequestFields(object)
    name = try fields.required("lora_name")
    folder = loading ? try fields.required("lora_path") : nil
    try fields.refuseOthers(.adapters)
    guard name.utf8.count <= 200, name.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
      throw .invalid("'lora_name' must be at most 200 bytes without control characters.", "lora_name")
    }
    guard folder?.utf8.contains(0) != true else {
      throw .invalid("'lora_path' must not hold U+0000.", "lora_path")
    }
  }

  /// What the client reads.
  var success: String {
    "Success: LoRA adapter '\(name)' \(folder == nil ? "removed" : "added") successfully."
  }
}
