// swift-tools-version: 6.2
import PackageDescription

/// Swift 6 language mode (strict concurrency) is the default of these tools; warnings stop the build.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(of name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.init(stringLiteral: name), "TestSupport"] + dependencies,
    swiftSettings: strict)
}

func system(_ name: String, pkgConfig: String, apt: String) -> Target {
  .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([apt])])
}

let package = Package(
  name: "alinfik",
  products: [.executable(name: "alinfik", targets: ["alinfik-cli"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
  ],
  targets: [
    system("COpenBLAS", pkgConfig: "openblas", apt: "libopenblas-dev"),
    system("CHDF5", pkgConfig: "hdf5", apt: "libhdf5-dev"),
    system("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
    system("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),

    .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3"])], linkerSettings: [.linkedLibrary("m")]),
    library("TensorKernels", ["CKernels", "COpenBLAS"]),
    library("Layers", ["TensorKernels", "CKernels"]),
    library(
      "Formats", ["CHDF5", "CZlib", "CZstd", .product(name: "Crypto", package: "swift-crypto")]),
    library("Tokenization", ["Formats"]),
    library("Records", ["Formats", "Tokenization"]),
    library("LanguageModels", ["Layers", "Formats"]),
    library("RankStatistics", []),
    library("Duplicates", ["Formats"]),
    library("LinFiK", ["LanguageModels", "Records"]),
    library("FineTuning", ["LinFiK", "LanguageModels", "Layers", "Records", "Formats"]),
    library("Encoder", ["Layers", "LanguageModels", "Formats", "Tokenization", "Records", "RankStatistics"]),
    library(
      "Selection", ["Encoder", "Duplicates", "Records", "Tokenization", "TensorKernels", "Formats"]),
    library("Distill", ["Encoder", "Records", "RankStatistics"]),
    library(
      "Verification",
      [
        "Encoder", "Formats", "Records", "RankStatistics", "TensorKernels",
        .product(name: "Crypto", package: "swift-crypto"),
      ]),
    library("Reporting", ["RankStatistics"]),
    library("Settlement", ["Duplicates", "Encoder", "Records", "Formats", "RankStatistics", "Reporting"]),
    library("Comparison", ["LinFiK", "Encoder", "RankStatistics", "Reporting"]),
    .target(name: "CArguments"),
    .executableTarget(
      name: "alinfik-cli",
      dependencies: [
        "CArguments", "LinFiK", "FineTuning", "Distill", "Comparison", "Duplicates", "Selection",
        "Settlement", "Verification",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: strict),
    .executableTarget(
      name: "Benchmarks", dependencies: ["LinFiK", "Encoder", "Tokenization", "COpenBLAS"],
      path: "Benchmarks",
      exclude: ["peers", "label.py", "growth.py", "svg.py", "train.py", "score.py", "selection.py"],
      swiftSettings: strict),

    .target(name: "TestSupport", dependencies: ["Formats"], path: "Tests/TestSupport", swiftSettings: strict),
    .target(
      name: "EmulatedKernels", dependencies: ["CKernels"], path: "Tests/EmulatedKernels",
      cSettings: [.unsafeFlags(["-O3", "-Wno-psabi", "-Wno-unused-function"])]),
    tests(of: "TensorKernels", ["EmulatedKernels", "CKernels"]),
    tests(of: "Layers"),
    tests(of: "Formats"),
    tests(of: "Tokenization"),
    tests(of: "Records"),
    tests(of: "LanguageModels"),
    tests(of: "RankStatistics"),
    tests(of: "LinFiK", ["RankStatistics"]),
    tests(of: "FineTuning"),
    tests(of: "Encoder"),
    tests(of: "Duplicates"),
    tests(of: "Selection", ["Encoder", "Duplicates", "Records", "TensorKernels", "Formats"]),
    tests(of: "Distill"),
    tests(of: "Verification", ["Encoder"]),
    tests(of: "Reporting"),
    tests(of: "Comparison"),
    tests(of: "Settlement", ["Records", "Formats"]),
    .testTarget(
      name: "CommandLineTests", dependencies: ["alinfik-cli", "TestSupport", "Formats", "CHDF5"],
      swiftSettings: strict),
  ]
)
