// swift-tools-version: 6.1

import PackageDescription

/// The tests of a module, in the folder that mirrors it. `resources` holds golden files and the scripts that made them.
func tests(of module: String, using others: [Target.Dependency] = [], resources: Bool = false) -> Target {
    .testTarget(
        name: module + "Tests",
        dependencies: [.byName(name: module), "TestSupport"] + others,
        resources: resources ? [.copy("Resources")] : [])
}

let tests: [Target] = [
    tests(of: "Ranks"),
    tests(of: "Statistics", resources: true),
    tests(of: "CKernels", using: ["Statistics"]),
    tests(of: "Safetensors", resources: true),
    tests(of: "ExitRules", using: ["Statistics"], resources: true),
    tests(of: "ExitHeads", using: ["Safetensors"], resources: true),
    tests(of: "ExitPolicy", using: ["ExitRules", "Safetensors"]),
    tests(of: "LinearAlgebra", using: ["Statistics"]),
    tests(
        of: "FeatureCache", using: ["ExitRules", "LinearAlgebra", "Safetensors", "Statistics"], resources: true),
    tests(
        of: "Backprop", using: ["ExitHeads", "LinearAlgebra", "Ranks", "Safetensors", "Statistics"], resources: true),
    tests(of: "Evaluation", using: ["ExitRules"]),
    tests(of: "RiskControl", using: ["Evaluation", "Statistics"]),
    tests(
        of: "ThresholdOptimizer", using: ["Evaluation", "ExitRules", "Ranks", "RiskControl", "Statistics"],
        resources: true),
    tests(
        of: "Calibration",
        using: [
            "Backprop", "Evaluation", "ExitHeads", "ExitPolicy", "ExitRules", "FeatureCache", "Ranks", "RiskControl",
            "Safetensors", "Statistics", "ThresholdOptimizer", "Yams",
        ]),
    tests(
        of: "Reports",
        using: [
            "Calibration", "Evaluation", "ExitHeads", "ExitPolicy", "ExitRules", "FeatureCache", "Statistics",
            "ThresholdOptimizer",
        ]),
    tests(
        of: "beem",
        using: [
            "Calibration", "ExitHeads", "ExitPolicy", "Reports", "Safetensors",
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ], resources: true),
]

let package = Package(
    name: "beem",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "beem", targets: ["beem"]),
        .library(name: "ExitPolicy", targets: ["ExitPolicy", "ExitRules", "ExitHeads", "Safetensors"]),
        .library(
            name: "EarlyExitCalibration",
            targets: [
                "Calibration", "Evaluation", "ExitRules", "FeatureCache", "Ranks", "RiskControl", "Statistics",
                "ThresholdOptimizer",
            ]),
    ],
    traits: [
        .trait(name: "MPI", description: "Runs on several machines, under mpirun or srun; needs an MPI library.")
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-numerics", from: "1.1.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swiftcsv/SwiftCSV", from: "0.10.0"),
        // Only for `make docs`; no target depends on it.
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        // Lowest first; a target depends only on targets above it.
        .systemLibrary(
            name: "COpenBLAS",
            pkgConfig: "openblas",
            providers: [.apt(["libopenblas-dev", "liblapacke-dev"])]
        ),
        .target(name: "Ranks"),
        .systemLibrary(name: "CMPI", pkgConfig: "mpi", providers: [.apt(["libopenmpi-dev"])]),
        // Empty without the trait.
        .target(
            name: "MPIRanks",
            dependencies: ["Ranks", .target(name: "CMPI", condition: .when(traits: ["MPI"]))]),
        .target(name: "Statistics", dependencies: [.product(name: "RealModule", package: "swift-numerics")]),
        // Inner loops, for several instruction sets.
        .target(name: "CKernels"),
        .target(
            name: "Safetensors", dependencies: ["CKernels", .product(name: "Crypto", package: "swift-crypto")]),
        .target(name: "ExitRules"),
        .target(name: "ExitHeads", dependencies: ["Safetensors"]),
        .target(name: "ExitPolicy", dependencies: ["ExitHeads", "ExitRules", "Safetensors"]),
        .target(name: "LinearAlgebra", dependencies: ["CKernels", "COpenBLAS", "Ranks"]),
        .target(
            name: "FeatureCache",
            dependencies: ["ExitRules", "LinearAlgebra", "Ranks", "Safetensors", "Statistics", "SwiftCSV"]),
        .target(
            name: "Backprop",
            dependencies: [
                "CKernels", "ExitHeads", "ExitRules", "FeatureCache", "LinearAlgebra", "Ranks", "Safetensors",
                "Statistics",
            ]),
        .target(name: "Evaluation", dependencies: ["ExitRules", "Statistics"]),
        .target(
            name: "RiskControl",
            dependencies: ["Evaluation", "Statistics", .product(name: "RealModule", package: "swift-numerics")]),
        .target(
            name: "ThresholdOptimizer",
            dependencies: ["Evaluation", "ExitRules", "LinearAlgebra", "Ranks", "RiskControl", "Statistics"]),
        .target(
            name: "Calibration",
            dependencies: [
                "Backprop", "Evaluation", "ExitHeads", "ExitPolicy", "ExitRules", "FeatureCache", "LinearAlgebra",
                "Ranks",
                "RiskControl", "Safetensors", "Statistics", "ThresholdOptimizer", "Yams",
            ]
        ),
        .target(
            name: "Reports",
            dependencies: [
                "Backprop", "Calibration", "Evaluation", "ExitPolicy", "ExitRules", "FeatureCache", "RiskControl",
                "Safetensors", "Statistics", "ThresholdOptimizer",
            ],
            // In the command itself, which then can be copied anywhere.
            resources: [.embedInCode("Page/Assets/report.css"), .embedInCode("Page/Assets/report.js")]
        ),
        .executableTarget(
            name: "beem",
            dependencies: [
                "Backprop", "Calibration", "Evaluation", "ExitHeads", "ExitPolicy", "ExitRules", "FeatureCache",
                "LinearAlgebra", "MPIRanks", "Ranks", "Reports", "RiskControl", "Safetensors",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]
        ),

        .target(name: "TestSupport", dependencies: ["Ranks", "Safetensors", "Statistics"], path: "Tests/TestSupport"),
    ] + tests
)
