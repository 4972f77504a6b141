import Files
import Foundation
import JSON
import TestSupport

/// A target as the manifest has it, and what its sources import.
struct Layer: Equatable {
  var name: String
  /// Internal targets it declares.
  var dependencies: Set<String>
  /// Internal modules that its sources import, with the file that does.
  var imports: [String: String]
}

/// Which way the targets may lean on each other.
enum Layers {
  /// May be imported by all.
  static let foundations: Set = ["Core", "Files", "JSON"]
  /// Files → records → segments → ids → batches: strangers to one another and to the weights.
  static let dataStages: Set = ["Loading", "Templating", "Tokenizing", "Packing"]

  /// The internal modules each may import, besides the foundations. Pipeline stands above them all but sft.
  static let allowed: [String: Set<String>] = [
    "Core": [], "Files": [], "JSON": [], "Formats": ["CZlib", "CZstd"], "HTTP": [], "Hub": ["HTTP"],
    "Loading": ["Formats"], "Jinja": [], "Templating": ["GGUF", "Jinja"], "Tokenizing": ["GGUF"],
    "Packing": [], "SampleEncoding": ["Templating", "Tokenizing"], "Artifacts": ["CZstd"], "Weights": ["GGUF", "Hub"],
    "Kernels": ["CKernels", "COpenBLAS"],
    "Quantizing": ["Kernels", "Weights"], "Models": ["Kernels", "Quantizing", "Weights"],
    "Distributing": ["CRankEngine"], "Training": ["Distributing", "Kernels", "Models", "Packing"],
    "Generating": ["Kernels", "Models", "Tokenizing"],
    "Evaluating": ["Generating", "Kernels", "Models", "Packing"],
    "Exporting": ["GGUF", "Models", "ONNX", "Quantizing", "Weights"], "Reporting": [], "Judging": ["HTTP"],
    "Auditing": [], "TensorBoard": [], "GGUF": [], "ONNX": [], "Serving": [], "SmallWorld": [],
    "make-world": ["SmallWorld"], "Embedded": ["CEmbedded"],
    // The program: verbs, flags and what people see. Stages are the pipeline's to open and run.
    "sft": [
      "CProcess", "Pipeline", "Auditing", "Distributing", "Evaluating", "Exporting", "Generating", "Hub", "Kernels",
      "Loading",
      "Models",
      "Quantizing", "Reporting", "SampleEncoding", "Serving", "Templating", "Tokenizing", "Training", "Weights",
      "Artifacts",
    ],
  ]

  /// Where the foundations themselves must stop, and the C libraries.
  static let special: [String: Set<String>] = [
    "Core": [], "Files": ["Core", "CProcess"], "JSON": ["Core", "Files", "CJSON"], "CKernels": [], "CJSON": [],
    "COpenBLAS": [],
    "CZlib": [], "CZstd": [], "CEmbedded": [], "CProcess": [], "CMPI": [],
    "CRankEngine": [], "MPIEngine": ["CMPI", "CRankEngine"],
  ]

  /// Every breach, in words, sorted; none where all is well.
  static func breaches(_ layers: [Layer]) -> [String] {
    let internals = Set(layers.map(\.name))
    var breaches: [String] = []
    for layer in layers {
      for (module, file) in layer.imports where internals.contains(module) {
        if !layer.dependencies.contains(module) {
          breaches.append("\(file) imports \(module), which \(layer.name) does not declare")
        }
        if !mayImport(layer.name, module, among: internals) {
          breaches.append("\(file) imports \(module), which \(layer.name) must not")
        }
      }
      for dependency in layer.dependencies where internals.contains(dependency) {
        if layer.imports[dependency] == nil {
          breaches.append("\(layer.name) declares \(dependency), which it does not import")
        }
      }
    }
    return breaches.sorted()
  }

  private static func mayImport(_ target: String, _ module: String, among internals: Set<String>) -> Bool {
    if let special = special[target] { return special.contains(module) }
    switch target {
    case "Pipeline": return module != "sft"
    default:
      // A target that nobody has placed may lean on the foundations only.
      return foundations.contains(module) || allowed[target, default: []].contains(module)
    }
  }

  /// Modules imported by a source text: `import X`, with attributes, access levels or a kind of declaration.
  static func imports(in source: String) -> Set<String> {
    var modules = Set<String>()
    for line in source.split(separator: "\n") {
      var words = line.split(separator: " ")
      if let comment = words.firstIndex(where: { $0.hasPrefix("//") }) { words.removeSubrange(comment...) }
      let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
      let levels: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
      while let word = words.first, word.hasPrefix("@") || levels.contains(word) { words.removeFirst() }
      guard words.count >= 2, words.removeFirst() == "import" else { continue }
      if words.count >= 2, kinds.contains(words[0]) { words.removeFirst() }
      if let module = words[0].split(separator: ".").first { modules.insert(String(module)) }
    }
    return modules
  }

  /// The layers of the tree below `sources` (one folder a target) with the dependencies that `package` (the JSON of
  /// `swift package dump-package`) declares.
  static func read(sources: String, package: JSONValue) throws -> [Layer] {
    let targets = (package["targets"]?.array ?? []).filter { target in
      // The project's own, wherever they are but in Tests.
      target["type"]?.string != "test" && target["path"]?.string?.hasPrefix("Tests/") != true
    }
    return try targets.compactMap { target -> Layer? in
      guard let name = target["name"]?.string else { return nil }
      let dependencies = (target["dependencies"]?.array ?? []).compactMap { dependency in
        (dependency["byName"] ?? dependency["target"])?.array?.first?.string
      }
      var imports: [String: String] = [:]
      let folder = "\(sources)/\(name)"
      for file in try swiftFiles(folder) {
        for module in Self.imports(in: String(decoding: try readFile(file), as: UTF8.self)) {
          imports[module] = min(imports[module] ?? "~", String(file.dropFirst(sources.count + 1)))
        }
      }
      // A target in C says what it stands on by its headers.
      let isSwift = try !swiftFiles(folder).isEmpty
      return Layer(name: name, dependencies: isSwift ? Set(dependencies) : [], imports: imports)
    }
  }

  private static func swiftFiles(_ folder: String) throws -> [String] {
    guard try directoryExists(folder) else { return [] }
    return try directoryEntries(folder).flatMap { name -> [String] in
      let path = folder + "/" + name
      if try directoryExists(path) { return try swiftFiles(path) }
      return name.hasSuffix(".swift") ? [path] : []
    }
  }
}
