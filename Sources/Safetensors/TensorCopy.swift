import Foundation

/// A row shard's own copy of a tensor that the index places whole, in another file.
struct TensorCopy: Sendable {
    var tensor: TensorView
    /// In the file that the index names.
    var original: TensorView

    /// Whether both hold the same bytes.
    var isEqual: Bool {
        let (own, other) = (tensor.segments[0].bytes, original.segments[0].bytes)
        return own.count == other.count && (own.isEmpty || memcmp(own.baseAddress!, other.baseAddress!, own.count) == 0)
    }

    /// The error for a copy that is none.
    ///
    /// - Parameters:
    ///   - seen: how it differs.
    ///   - index: the index as the user named it.
    func error(seen: String, index: String) -> InputError {
        InputError(
            .mismatch, file: tensor.path, item: tensor.name, seen: seen,
            expected: "a copy of \(original.elementType.rawValue) \(original.shape) in \(original.path), where "
                + "weight_map of \(index) places the whole tensor",
            advice:
                "Take the tensor out of weight_map if each file holds other rows of it; otherwise write the file again."
        )
    }
}
