// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target: Swift 6 mode, warnings are errors, and no internal import leaks.
let swiftSettings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
]

/// Debug kernels are 30–165× slower than optimised ones, so targets that work number by number or byte by byte are optimised
/// in every configuration.
let kernelSettings: [SwiftSetting] = swiftSettings + [.unsafeFlags(["-O"], .when(configuration: .debug))]

func target(
  _ name: String, _ dependencies: [Target.Dependency] = [], settings: [SwiftSetting] = swiftSettings
) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(
  _ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []
) -> Target {
  .testTarget(name: name + "Tests", dependencies: dependencies, resources: resources, swiftSettings: swiftSettings)
}

let package = Package(
  name: "sft",
  products: [
    .executable(name: "sft", targets: ["sft"]),
    // What sft loads where it is started by mpirun; it is empty without the trait.
    .library(name: "sft-mpi", type: .dynamic, targets: ["MPIEngine"]),
  ],
  traits: [
    .trait(name: "MPI", description: "Several processes train together: the library sft-mpi is made, over MPI.")
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
    .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
    .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
  ],
  targets: [
    // Debian's libraries.
    .systemLibrary(name: "CJSON", pkgConfig: "json-c", providers: [.apt(["libjson-c-dev"])]),
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),

    // What every stage stands on.
    target("Core"),
    .target(name: "CProcess", cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])]),
    target("Files", ["Core", "CProcess", .product(name: "Crypto", package: "swift-crypto")]),
    target("JSON", ["Core", "Files", "CJSON"], settings: kernelSettings),

    // Messages between processes that train together: MPI's, in a library of its own that is loaded at run time.
    .target(
      name: "CRankEngine", cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])],
      linkerSettings: [.linkedLibrary("dl")]),
    .systemLibrary(name: "CMPI", pkgConfig: "mpi-c", providers: [.apt(["libopenmpi-dev"])]),
    .target(
      name: "MPIEngine", dependencies: ["CRankEngine", .target(name: "CMPI", condition: .when(traits: ["MPI"]))],
      cSettings: [.define("SFT_MPI", .when(traits: ["MPI"])), .unsafeFlags(["-Wall", "-Wextra", "-Werror"])]),
    target("Distributing", ["Core", "CRankEngine", "Files"]),

    // The network, through the program curl.
    target("HTTP", ["Core"]),
    // The Hugging Face hub, and the local cache of what was downloaded from it.
    target("Hub", ["Core", "Files", "HTTP", "JSON"]),

    // The data's side: files → records → segments → ids and ranges → batches.
    target("Formats", ["Core", "Files", "CZlib", "CZstd"], settings: kernelSettings),
    target("Loading", ["Core", "Files", "Formats", "JSON"]),
    // Templates of foreign hands: a small interpreter of Jinja whose output knows where it came from.
    target("Jinja", ["Core", "JSON"], settings: kernelSettings),
    // Sources/Templating/prompts is a link to prompts/, whose files are embedded in the binary.
    .target(
      name: "Templating", dependencies: ["Core", "Files", "GGUF", "JSON", "Jinja"],
      resources: [.embedInCode("prompts")], swiftSettings: swiftSettings),
    .target(
      name: "Tokenizing", dependencies: ["Core", "Files", "GGUF", "JSON"],
      exclude: ["Cutting/make_character_classes.py", "Normalizing/make_unicode_tables.py"],
      swiftSettings: kernelSettings),
    target("Packing", ["Core"]),
    // The one room in which a template and a tokenizer meet.
    target("SampleEncoding", ["Core", "JSON", "Templating", "Tokenizing"]),
    // What is wrong with records: duplicates, contradictions, leaks.
    target("Auditing", ["Core"]),

    // The weights' side: checkpoint → decoder → training → adapter.
    target("Weights", ["Core", "Files", "GGUF", "Hub", "JSON"], settings: kernelSettings),
    .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3", "-Wall", "-Wextra", "-Werror"])]),
    target("Kernels", ["Core", "CKernels", "COpenBLAS"], settings: kernelSettings),
    target("Quantizing", ["Core", "JSON", "Kernels", "Weights"], settings: kernelSettings),
    target("Models", ["Core", "Files", "JSON", "Kernels", "Quantizing", "Weights"], settings: kernelSettings),
    target("Training", ["Core", "Distributing", "Files", "Kernels", "Models", "Packing"], settings: kernelSettings),
    target("Exporting", ["Core", "Files", "GGUF", "JSON", "Models", "ONNX", "Quantizing", "Weights"]),
    // Texts that are continued together, entered and left while they run.
    target("Generating", ["Core", "Kernels", "Models", "Tokenizing"]),
    target("Evaluating", ["Core", "Files", "Generating", "JSON", "Kernels", "Models", "Packing"]),

    // Another model's opinion, over the network.
    target("Judging", ["Core", "Files", "HTTP", "JSON"]),
    // Pages for people; Sources/Reporting/page holds their style and scripts, embedded in the binary.
    .target(
      name: "Reporting", dependencies: ["Core", "Files"], resources: [.embedInCode("page")],
      swiftSettings: swiftSettings),

    // Graphs for ONNX Runtime; Sources/ONNX/Messages says how the generated messages are made.
    .target(
      name: "ONNX", dependencies: ["Core", "Files", .product(name: "SwiftProtobuf", package: "swift-protobuf")],
      exclude: ["Messages/onnx.proto"], swiftSettings: swiftSettings),
    // llama.cpp's files: metadata and tensors in quantised blocks.
    target("GGUF", ["Core", "Files"], settings: kernelSettings),

    // Event files, as TensorBoard reads them.
    target("TensorBoard", ["Core", "Files"]),

    // The model inside the program: Sources/CEmbedded/model, embedded as it is.
    .target(
      name: "CEmbedded", exclude: ["README.md", "config.json", "model"],
      cSettings: [.unsafeFlags(["-std=c23", "-Wall", "-Wextra", "-Werror"])]),
    target("Embedded", ["CEmbedded", "Files"]),

    // The HTTP face of a server that answers as OpenAI's API does; Sources/Serving/page holds its page, embedded in the binary.
    .target(
      name: "Serving",
      dependencies: [
        "Core", "Files", "JSON",
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ], resources: [.embedInCode("page")], swiftSettings: swiftSettings),

    // What chains them.
    target("Artifacts", ["Core", "Files", "CZstd"]),
    // Sources/Pipeline/Models/Verifying/scripts holds Python for the tools that exports are for, embedded in the binary.
    .target(
      name: "Pipeline",
      dependencies: [
        "Core", "Files", "Artifacts", "Auditing", "Distributing", "Hub", "Loading", "Templating", "Tokenizing",
        "SampleEncoding", "Packing", "Weights", "Kernels", "Quantizing", "Models", "Training", "Generating",
        "Evaluating",
        "Exporting", "GGUF", "JSON", "Judging", "Reporting", "Serving",
        "TensorBoard", "Embedded",
      ], resources: [.embedInCode("Models/Verifying/scripts")], swiftSettings: swiftSettings),
    .executableTarget(
      name: "sft",
      dependencies: [
        "Core", "CProcess", "Distributing", "Files", "JSON", "Artifacts", "Auditing", "Evaluating", "Exporting",
        "Generating", "Hub",
        "Kernels",
        "Loading",
        "Models", "Pipeline", "Quantizing", "Reporting", "SampleEncoding", "Serving", "Templating", "Tokenizing",
        "Training",
        "Weights", .product(name: "ArgumentParser", package: "swift-argument-parser"), "Yams",
      ],
      swiftSettings: swiftSettings),

    // A world to know and to be asked about: the example data, and what the embedded model was trained on.
    target("SmallWorld", ["Core", "JSON"]),
    .executableTarget(
      name: "make-world",
      dependencies: [
        "Files", "SmallWorld", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: swiftSettings),

    // Tests.
    .target(
      name: "TestSupport", dependencies: ["Core", "Files", "JSON", "Kernels", "Models", "Quantizing", "Weights"],
      path: "Tests/TestSupport", swiftSettings: swiftSettings),
    tests("Packing", ["Core", "Packing"]),
    tests("SampleEncoding", ["Core", "Files", "JSON", "SampleEncoding", "Templating", "TestSupport", "Tokenizing"]),
    tests("Auditing", ["Auditing", "Core"]),
    tests("Kernels", ["Core", "Files", "Kernels", "TestSupport"]),
    tests("Distributing", ["Core", "Distributing"]),
    tests("Training", ["Core", "Files", "JSON", "Kernels", "Models", "TestSupport", "Training", "Weights"]),
    tests(
      "Generating",
      [
        "Core", "Files", "Generating", "JSON", "Kernels", "Models", "Quantizing", "TestSupport", "Tokenizing",
        "Weights",
      ]),
    tests(
      "Evaluating",
      [
        "Core", "Evaluating", "Files", "Generating", "JSON", "Kernels", "Models", "Packing", "Quantizing",
        "TestSupport", "Tokenizing", "Weights",
      ]),
    .testTarget(
      name: "TensorBoardTests", dependencies: ["Core", "Files", "TensorBoard", "TestSupport"],
      exclude: ["make_event.py", "read_events.py"], swiftSettings: swiftSettings),
    tests("Reporting", ["Core", "Files", "JSON", "Reporting", "TestSupport"]),
    tests("Judging", ["Core", "Files", "JSON", "Judging", "TestSupport"]),
    .testTarget(
      name: "QuantizingTests",
      dependencies: ["Core", "Files", "JSON", "Kernels", "Quantizing", "TestSupport", "Weights"],
      exclude: ["Fixtures"], swiftSettings: swiftSettings),
    tests("Models", ["Core", "Files", "JSON", "Kernels", "Models", "Packing", "Quantizing", "TestSupport", "Weights"]),
    .testTarget(
      name: "JSONTests", dependencies: ["Core", "Files", "JSON"], exclude: ["Fixtures"], swiftSettings: kernelSettings),
    tests("Serving", ["Core", "Files", "JSON", "Serving", "TestSupport"]),
    .testTarget(
      name: "ONNXTests",
      dependencies: [
        "Core", "Files", "ONNX", "TestSupport", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["Fixtures"], swiftSettings: swiftSettings),
    .testTarget(
      name: "ExportingTests",
      dependencies: [
        "Core", "Exporting", "Files", "GGUF", "JSON", "Models", "ONNX", "Pipeline", "Templating", "TestSupport",
        "Tokenizing", "Weights",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ], exclude: ["GGUF/gguf.json", "GGUF/make_gguf.py", "check_onnx.py"], swiftSettings: swiftSettings),
    .testTarget(
      name: "GGUFTests", dependencies: ["Core", "Files", "GGUF"], exclude: ["Fixtures"], swiftSettings: kernelSettings),
    tests("Weights", ["Core", "Files", "JSON", "TestSupport", "Weights"]),
    tests("Files", ["Core", "Files"]),
    tests("Artifacts", ["Core", "Files", "Artifacts"]),
    tests("Hub", ["Core", "Files", "HTTP", "Hub", "JSON", "TestSupport"]),
    tests("Formats", ["Core", "Files", "Formats", "JSON", "TestSupport"]),
    tests("Loading", ["Core", "Files", "JSON", "Loading", "TestSupport"]),
    .testTarget(
      name: "JinjaTests", dependencies: ["Core", "Files", "JSON", "Jinja"], exclude: ["Fixtures"],
      swiftSettings: kernelSettings),
    .testTarget(
      name: "TemplatingTests", dependencies: ["Core", "Files", "JSON", "Templating", "TestSupport", "Tokenizing"],
      exclude: ["Fixtures"], swiftSettings: swiftSettings),
    // Runs the built binary, so it has to be built first.
    tests("CommandLine", ["Artifacts", "Core", "Files", "JSON", "Pipeline", "TestSupport", "sft"]),
    tests("SmallWorld", ["Core", "Evaluating", "Files", "SmallWorld", "TestSupport"]),
    tests("Embedded", ["Embedded", "Files", "TestSupport"]),
    tests("Layering", ["Core", "Files", "JSON", "TestSupport"]),
    tests("Tokenizing", ["Core", "Files", "JSON", "Tokenizing"], resources: [.copy("Fixtures")]),
  ],
  swiftLanguageModes: [.v6]
)
