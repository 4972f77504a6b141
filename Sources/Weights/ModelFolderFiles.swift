import Core
import Files
import JSON

/// A model's `config.json` with the dtype of what was written, in torch's words, and perhaps one more member.
package func writeConfiguration(
  from source: String, to path: String, dtype: String = "float32", adding member: (key: String, value: JSONValue)? = nil
) throws {
  guard var object = try parseJSONFile(source).object else {
    throw SFTError(.badData, "is not a JSON object", file: source)
  }
  object.members = object.members.filter { $0.key != member?.key }.map { member in
    ["dtype", "torch_dtype"].contains(member.key) ? (member.key, .string(dtype)) : member
  }
  if let member { object.members.append(member) }
  try writeAtomically(JSONValue.object(object).serialized + "\n", to: path)
}

/// The tokenizer's files, and how the model generates.
package func copyCompanions(of model: String, _ tokenizerFiles: [String], to folder: String) throws {
  try copyFiles(companions(of: model, tokenizerFiles), to: folder)
}

/// Where they are.
package func companions(of model: String, _ tokenizerFiles: [String]) throws -> [String] {
  let generation = model + "/generation_config.json"
  return tokenizerFiles + (try fileExists(generation) ? [generation] : [])
}

/// Copies files into a folder, mapped: they may be weights.
package func copyFiles(_ files: [String], to folder: String) throws {
  for file in files { try copyFile(file, to: folder + "/" + lastPathComponent(file)) }
}
