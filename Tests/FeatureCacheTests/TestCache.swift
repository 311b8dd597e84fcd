import Safetensors
import TestSupport

/// A feature cache made by hand, of which each part can be made wrong.
struct TestCache {
    /// A tensor of the file.
    enum Content {
        case floats([Float], ElementType, shape: [Int])
        case integers([Int32], ElementType, shape: [Int])
        case bytes([UInt8], shape: [Int])
    }

    var tensors: [String: Content]
    var metadata: [String: String]

    /// A good cache of 8 samples, 2 classes and exits of width 3 and 2, the second in F16; feature d of sample n at exit i
    /// is `100 i + 10 n + d`.
    static let good = TestCache(
        tensors: [
            "features.0": .floats(features(exit: 0, width: 3), .float32, shape: [8, 3]),
            "features.1": .floats(features(exit: 1, width: 2), .float16, shape: [8, 2]),
            "labels": .integers([0, 1, 0, 1, 0, 1, 0, 1], .int32, shape: [8]),
            "split": .bytes([0, 0, 1, 1, 2, 2, 3, 3], shape: [8]),
        ],
        metadata: ["classes": #"["bad", "good"]"#, "exits": #"["early", "late"]"#, "license": "MIT"])

    static func features(exit: Int, width: Int) -> [Float] {
        (0..<8).flatMap { sample in (0..<width).map { Float(100 * exit + 10 * sample + $0) } }
    }

    /// The same cache with some tensors replaced, or taken out.
    func with(_ changes: [String: Content?], metadata: [String: String?] = [:]) -> TestCache {
        var copy = self
        for (name, content) in changes { copy.tensors[name] = content }
        for (key, text) in metadata { copy.metadata[key] = text }
        return copy
    }

    /// Writes the cache and returns its path.
    @discardableResult
    func write(to folder: TemporaryFolder, as name: String = "cache.safetensors") throws -> String {
        let path = folder.file(name)
        let declared = tensors.sorted { $0.key < $1.key }.map { name, content in
            switch content {
            case .floats(_, let type, let shape), .integers(_, let type, let shape):
                TensorDescription(name: name, elementType: type, shape: shape)
            case .bytes(_, let shape): TensorDescription(name: name, elementType: .uint8, shape: shape)
            }
        }
        let order = TensorDescription.wideFirst(declared)
        var writer = try SafetensorsWriter(creating: path, tensors: order, metadata: metadata)
        for tensor in order {
            switch tensors[tensor.name]! {
            case .floats(let values, _, _): try writer.append(values, to: tensor.name)
            case .integers(let values, _, _): try writer.append(values, to: tensor.name)
            case .bytes(let values, _): try writer.append(values, to: tensor.name)
            }
        }
        try writer.finish()
        return path
    }
}

extension TensorView {
    /// All bytes, in one piece.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        forEachPiece { bytes += $0 }
        return bytes
    }
}
