import Foundation
import Safetensors
import Statistics

/// A small feature cache: class means plus noise that shrinks from exit to exit, but for the last, which is a little
/// worse than the one before, as real networks' final layers are: so that leaving early helps, and can be certified.
public struct SyntheticCache: Sendable {
    /// How many samples.
    public var samples = 1200
    /// How many exits.
    public var exits = 4
    /// How many classes.
    public var classes = 3
    /// How many features each exit has.
    public var width = 6
    /// The noise at the first exit, in units of the deviation of class means; it halves by the last, which has more.
    public var noise: Float = 1.2
    /// What the samples are drawn with.
    public var seed: UInt64 = 1
    /// Changes features before they are written, for tests of bad input: [exit][sample * width + feature].
    public var corruption: (@Sendable (inout [[Float]]) -> Void)?
    /// Changes labels before they are written.
    public var relabelling: (@Sendable (inout [Int32]) -> Void)?

    /// Whether the cache has the label as a number to predict, off by up to a quarter, instead of labels.
    public var hasTargets = false
    /// How many samples in a row form a group; 0 for a cache without groups.
    public var groupSize = 0
    /// Changes groups before they are written: [sample]; without effect where `groupSize` is 0.
    public var regrouping: (@Sendable (inout [Int32]) -> Void)?
    /// How many subgroups samples are from, in turn within each class; 0 for a cache that tells none apart.
    public var subgroups = 0
    /// The split code of each sample, where splits are stored.
    public var splitCode: (@Sendable (_ sample: Int) -> UInt8)?

    /// Describes a cache.
    public init() {}

    /// Writes the cache.
    public func write(to path: String) throws {
        var generator = SplitMix64(seed: seed)
        func normal() -> Float {
            let radius = (-2 * log(Double.random(in: Double.leastNormalMagnitude..<1, using: &generator))).squareRoot()
            return Float(radius * cos(2 * .pi * Double.random(in: 0..<1, using: &generator)))
        }
        let means = (0..<(classes * width)).map { _ in normal() }
        var labels = (0..<samples).map { Int32($0 % classes) }
        var features = [[Float]](repeating: [], count: exits)
        for sample in 0..<samples {
            // What is hard about a sample stays hard at every exit.
            let own = (0..<width).map { _ in normal() }
            for exit in 0..<exits {
                let isLast = exit == exits - 1
                let scale = noise * (isLast ? 0.9 : 1 - 0.5 * Float(exit) / Float(max(exits - 1, 1)))
                for column in 0..<width {
                    features[exit].append(
                        means[Int(labels[sample]) * width + column] + scale * (0.7 * own[column] + 0.7 * normal()))
                }
            }
        }
        corruption?(&features)
        relabelling?(&labels)
        var tensors = (0..<exits).map {
            TensorDescription(name: "features.\($0)", elementType: .float32, shape: [samples, width])
        }
        tensors.append(
            hasTargets
                ? TensorDescription(name: "targets", elementType: .float32, shape: [samples])
                : TensorDescription(name: "labels", elementType: .int32, shape: [samples]))
        if groupSize > 0 { tensors.append(TensorDescription(name: "group", elementType: .int32, shape: [samples])) }
        if subgroups > 0 { tensors.append(TensorDescription(name: "subgroup", elementType: .int32, shape: [samples])) }
        if splitCode != nil { tensors.append(TensorDescription(name: "split", elementType: .uint8, shape: [samples])) }
        let names = { (prefix: String, count: Int) in
            "[" + (0..<count).map { "\"\(prefix)\($0)\"" }.joined(separator: ",") + "]"
        }
        var metadata = ["classes": names("class ", classes), "exits": names("layer ", exits)]
        if subgroups > 0 { metadata["subgroups"] = names("site ", subgroups) }
        var writer = try SafetensorsWriter(creating: path, tensors: tensors, metadata: metadata)
        for exit in 0..<exits { try writer.append(features[exit], to: "features.\(exit)") }
        if hasTargets {
            try writer.append(
                labels.map { Float($0) + .random(in: -0.25...0.25, using: &generator) }, to: "targets")
        } else {
            try writer.append(labels, to: "labels")
        }
        if groupSize > 0 {
            var groups = (0..<samples).map { Int32($0 / groupSize) }
            regrouping?(&groups)
            try writer.append(groups, to: "group")
        }
        if subgroups > 0 {
            try writer.append((0..<samples).map { Int32($0 / classes % subgroups) }, to: "subgroup")
        }
        if let splitCode { try writer.append((0..<samples).map(splitCode), to: "split") }
        try writer.finish()
    }
}
