// How long one pass over the features of an exit takes, loss and gradient of a linear head, against reading the same bytes.
//
// 100,000 x 768 random features, as F32 and as F16, in caches of this program's own making. In memory: the file is in the
// page cache and mapped. Cold: its pages were dropped, so they come from the disk. Two threads, the best of several runs.

import Backprop
import FeatureCache
import Foundation
import LinearAlgebra
import Safetensors
import Statistics

let (rows, width, threads) = (100_000, 768, 2)
let elementTypes: [(name: String, type: ElementType)] = [("F32", .float32), ("F16", .float16)]

func seconds(_ body: () throws -> Void) rethrows -> Double {
    try ContinuousClock().measure(body) / .seconds(1)
}

func best(of count: Int, _ body: () throws -> Void) rethrows -> Double {
    var best = Double.infinity
    for _ in 0..<count { best = min(best, try seconds(body)) }
    return best
}

/// Writes a cache of random features around an offset, with labels of six classes.
func writeCache(_ type: ElementType, to path: String) throws {
    var generator = SplitMix64(seed: 1)
    var writer = try SafetensorsWriter(
        creating: path,
        tensors: TensorDescription.wideFirst([
            TensorDescription(name: "features.0", elementType: type, shape: [rows, width]),
            TensorDescription(name: "labels", elementType: .int32, shape: [rows]),
        ]))
    let labels = (0..<rows).map { Int32($0 % 6) }
    if type == .float16 { try writer.append(labels, to: "labels") }
    for _ in 0..<(rows / 1000) {
        let block = (0..<(1000 * width)).map { _ in Float(generator.next() >> 40) * 0x1p-23 + 0.5 }
        try writer.append(block, to: "features.0")
    }
    if type == .float32 { try writer.append(labels, to: "labels") }
    try writer.finish()
}

/// Drops a file's pages from memory; nothing may have it mapped.
func dropPages(of path: String) {
    let descriptor = open(path, O_RDONLY)
    precondition(descriptor >= 0, "a file that was just written")
    defer { close(descriptor) }
    fsync(descriptor)
    posix_fadvise(descriptor, 0, 0, Int32(POSIX_FADV_DONTNEED))
}

/// The sum of the numbers of an F32 tensor, in as many lanes as memory needs to be the limit.
func plainSum(_ tensor: TensorView) -> Float {
    let parts = Parallel.map(16, threads: threads) { part in
        var sum: Float = 0
        tensor.forEachPiece { bytes in
            var lanes = (SIMD16<Float>(), SIMD16<Float>(), SIMD16<Float>(), SIMD16<Float>())
            var offset = bytes.count / 256 * part / 16 * 256
            let end = bytes.count / 256 * (part + 1) / 16 * 256
            while offset < end {
                lanes.0 += bytes.loadUnaligned(fromByteOffset: offset, as: SIMD16<Float>.self)
                lanes.1 += bytes.loadUnaligned(fromByteOffset: offset + 64, as: SIMD16<Float>.self)
                lanes.2 += bytes.loadUnaligned(fromByteOffset: offset + 128, as: SIMD16<Float>.self)
                lanes.3 += bytes.loadUnaligned(fromByteOffset: offset + 192, as: SIMD16<Float>.self)
                offset += 256
            }
            sum += (lanes.0 + lanes.1 + lanes.2 + lanes.3).sum()
        }
        return sum
    }
    return parts.reduce(0, +)
}

/// How long the features of an F32 file take to read; it is mapped only until then.
func readingTime(of path: String) throws -> Double {
    let tensor = try SafetensorsStore(opening: path).tensor("features.0")
    var sum: Float = 0
    let time = best(of: 15) { sum = plainSum(tensor) }
    precondition(sum > 0, "features are positive")
    return time
}

func objective(_ path: String, classes: Int, _ standardization: Standardization?) throws -> LinearHeadObjective {
    let cache = try FeatureCache(opening: path, checkValues: false)
    let features = CacheRows(cache: cache, exit: 0, rows: Array(0..<rows))
    return LinearHeadObjective(
        features: features, targets: HeadTargets(labels: cache.labels.map { $0 % Int32(classes) }),
        loss: CrossEntropyLoss(), outputCount: classes,
        standardization: standardization ?? Standardization(of: features, threads: threads), threads: threads)
}

func head(classes: Int) -> LinearHeadObjective.Point {
    var parameters = LinearParameters(classCount: classes, width: width)
    for index in parameters.values.indices { parameters.values[index] = Double(index % 13 - 6) * 0.01 }
    return LinearHeadObjective.Point(parameters: parameters, l2: 0.01)
}

func row(_ name: String, _ time: Double, _ ratio: Double? = nil, of base: String = "", allowed: Double = 0) {
    let figures = String(format: "%8.1f ms", 1000 * time)
    let comparison = ratio.map { String(format: "   %.2f x \(base) (at most %.2f)", $0, allowed) } ?? ""
    print(name.padding(toLength: 40, withPad: " ", startingAt: 0) + figures + comparison)
}

let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pass-speed-\(UUID().uuidString)").path
try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
defer { try? FileManager.default.removeItem(atPath: folder) }
let paths = elementTypes.map { "\(folder)/\($0.name).safetensors" }
for (path, element) in zip(paths, elementTypes) { try writeCache(element.type, to: path) }

print("\(rows) x \(width) features, \(threads) threads, kernels for \(OwnKernels.description)")
let reading = try readingTime(of: paths[0])
row("reading F32 (plain sum)", reading)

var inMemory: [[Double]] = []
var standardization: Standardization?
for (path, element) in zip(paths, elementTypes) {
    var times: [Double] = []
    for classes in [2, 6] {
        let objective = try objective(path, classes: classes, standardization)
        standardization = objective.standardization
        let point = head(classes: classes)
        times.append(best(of: 15) { _ = objective.evaluate([point]) })
        let isFirst = element.type == .float32
        row(
            "pass, \(element.name), \(classes) classes", times.last!,
            times.last! / (isFirst ? reading : inMemory[0][times.count - 1]), of: isFirst ? "reading" : "F32",
            allowed: isFirst ? (classes == 2 ? 2.5 : 4) : 1.8)
    }
    inMemory.append(times)
}

var cold: [Double] = []
for (path, element) in zip(paths, elementTypes) {
    var time = Double.infinity
    for _ in 0..<3 {
        dropPages(of: path)
        let objective = try objective(path, classes: 2, standardization)
        let point = head(classes: 2)
        time = min(time, seconds { _ = objective.evaluate([point]) })
    }
    cold.append(time)
    row(
        "pass from disk, \(element.name), 2 classes", time, cold.count == 2 ? time / cold[0] : nil, of: "F32",
        allowed: 0.65)
}
