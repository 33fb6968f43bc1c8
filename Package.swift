// swift-tools-version: 6.2
import PackageDescription

// Imports point down: C leaves, then Determinism | Files, then Tokenizers | Tensors, then Corpus | Model |
// Collectives | Checkpoints, then Configuration, Training, Diagnostics and Commands, then the program.
let strict: [SwiftSetting] = [
  .strictMemorySafety(), .treatAllWarnings(as: .error),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .testTarget(
    name: name, dependencies: dependencies + ["TestSupport"], exclude: exclude,
    swiftSettings: strict)
}

let package = Package(
  name: "isogloss",
  products: [.executable(name: "isogloss", targets: ["isogloss"])],
  targets: [
    // MARK: C libraries and kernels
    // Debian's choice of MPI, or what ISOGLOSS_MPI names of pkg-config's modules, such as mpich.
    .systemLibrary(name: "CMPI", pkgConfig: Context.environment["ISOGLOSS_MPI"] ?? "mpi-c"),
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas"),
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1"),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib"),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd"),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto"),
    .systemLibrary(name: "CLinux"),
    .target(
      name: "CSentencePiece",
      linkerSettings: [.linkedLibrary("sentencepiece"), .linkedLibrary("sentencepiece_train")]),
    .target(
      name: "CKernels",
      cSettings: [
        .unsafeFlags(["-O3", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra"])
      ],
      linkerSettings: [.linkedLibrary("m")]),

    // MARK: Libraries
    library("Determinism", []),
    library("Files", ["CZlib", "CZstd", "CCrypto"]),
    library("Tokenizers", ["CSentencePiece", "Files", "Determinism"]),
    library("Tensors", ["CKernels", "COpenBLAS", "Files", "Determinism"]),
    library("Corpus", ["Tokenizers", "Files", "Determinism"]),
    library("Comparison", ["Corpus", "Files", "Determinism"]),
    library("Report", ["Comparison", "Corpus", "Files"]),
    library("Collectives", ["CMPI", "Determinism"]),
    library("Checkpoints", ["Files", "CCrypto"]),
    library("Configuration", ["CYAML", "Checkpoints", "Model", "Tensors"]),
    library("Model", ["Checkpoints", "Tensors", "Determinism"]),
    library(
      "Training",
      [
        "Model", "Tensors", "Corpus", "Tokenizers", "Collectives", "Checkpoints", "Files",
        "Configuration", "Determinism",
      ]),
    library(
      "Diagnostics",
      [
        "Training", "Model", "Tensors", "Corpus", "Tokenizers", "Collectives", "Checkpoints",
        "Files", "Configuration", "Determinism",
      ]),
    library(
      "Commands",
      [
        "Diagnostics", "Report", "Comparison", "Training", "Tensors", "Corpus", "Tokenizers",
        "Collectives",
        "Checkpoints",
        "Files", "Configuration", "CLinux",
      ]),

    // MARK: The program
    .executableTarget(name: "isogloss", dependencies: ["Commands"], swiftSettings: strict),

    // MARK: Tests
    .target(
      name: "TestSupport", dependencies: ["Determinism", "CZlib", "CZstd"],
      path: "Tests/TestSupport",
      swiftSettings: strict),
    // The program with a task that nothing in Sources knows.
    .executableTarget(
      name: "isogloss-foreign",
      dependencies: [
        "Commands", "Training", "Model", "Tensors", "Corpus", "Collectives", "Checkpoints",
        "Files", "Configuration", "Determinism",
      ], path: "Tests/ForeignTask", swiftSettings: strict),
    tests("DeterminismTests", ["Determinism"]),
    tests("KernelsTests", ["CKernels", "Determinism"]),
    tests(
      "TensorsTests", ["Tensors", "Checkpoints", "Files", "Determinism"], exclude: ["Fixtures"]),
    tests("FilesTests", ["Files", "Determinism"]),
    tests("TokenizersTests", ["Tokenizers", "Files", "Determinism"], exclude: ["Fixtures"]),
    tests(
      "CorpusTests", ["Corpus", "Tokenizers", "Files", "Determinism"],
      exclude: ["Scores/scores.json"]),
    tests(
      "ComparisonTests", ["Comparison", "Corpus", "Files", "Determinism"],
      exclude: ["Fixtures"]),
    tests("CollectivesTests", ["Collectives", "Determinism"]),
    tests("CheckpointsTests", ["Checkpoints", "Files", "Determinism"], exclude: ["Fixtures"]),
    tests("ConfigurationTests", ["Configuration", "Commands", "Training", "Model"]),
    tests(
      "ModelTests",
      [
        "Training", "Model", "Tensors", "Checkpoints", "Corpus", "Tokenizers", "Files",
        "Determinism",
      ],
      exclude: ["Fixtures"]),
    tests(
      "TrainingTests",
      [
        "Commands", "Training", "Diagnostics", "Model", "Tensors", "Corpus", "Tokenizers",
        "Collectives", "Checkpoints", "Files", "Configuration", "Determinism",
      ]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11,
  cxxLanguageStandard: .cxx17
)
