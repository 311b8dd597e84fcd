// swift-tools-version: 6.1

import PackageDescription

let package = Package(
    name: "benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "beem", path: "..")],
    targets: [
        .executableTarget(
            name: "certify-speed", dependencies: [.product(name: "EarlyExitCalibration", package: "beem")]),
        .executableTarget(
            name: "pass-speed", dependencies: [.product(name: "EarlyExitCalibration", package: "beem")]),
        .executableTarget(
            name: "runtime-speed",
            dependencies: [
                .product(name: "EarlyExitCalibration", package: "beem"), .product(name: "ExitPolicy", package: "beem"),
            ]),
        .executableTarget(
            name: "optimality-gap", dependencies: [.product(name: "EarlyExitCalibration", package: "beem")]),
        .executableTarget(
            name: "frontier-speed", dependencies: [.product(name: "EarlyExitCalibration", package: "beem")]),
    ]
)
