import Safetensors

extension FeatureCache {
    /// Writes the same cache with other splits stored, in one file.
    ///
    /// - Parameters:
    ///   - path: where to; may be the cache's own file.
    ///   - splits: rows of this cache.
    /// - Throws: `unwritable`; what was there before is then untouched.
    /// - Complexity: O(bytes), copied in blocks; memory does not grow with them.
    public func write(to path: String, splits: Splits) throws(InputError) {
        let codes = splits.codes(sampleCount: sampleCount)
        var tensors = store.tensors.filter { $0.name != "split" }.map { CacheTensor(copying: $0) }
        tensors.append(CacheTensor(split: codes))
        try CacheTensor.write(tensors, metadata: metadata, to: path)
    }
}

/// A tensor of a cache to be written: what it is, and how its data gets into the writer.
struct CacheTensor {
    let description: TensorDescription
    let append: (inout SafetensorsWriter) throws(InputError) -> Void

    init(
        _ description: TensorDescription, append: @escaping (inout SafetensorsWriter) throws(InputError) -> Void
    ) {
        self.description = description
        self.append = append
    }

    /// A tensor as it is in other files.
    ///
    /// - Parameters:
    ///   - view: the tensor.
    ///   - rows: which rows of it are copied; nil for all.
    init(copying view: TensorView, rows: Range<Int>? = nil) {
        var description = view.description
        if let rows { description.shape[0] = rows.count }
        self.init(description) { writer throws(InputError) in
            try view.forEachPiece(ofRows: rows) { bytes throws(InputError) in
                try writer.append(bytes, to: view.name)
            }
        }
    }

    /// The split codes of all samples.
    init(split codes: [UInt8]) {
        self.init(TensorDescription(name: "split", elementType: .uint8, shape: [codes.count])) {
            writer throws(InputError) in
            try writer.append(codes, to: "split")
        }
    }

    /// Writes tensors into one file, the wider types first, otherwise in the order given.
    static func write(_ tensors: [CacheTensor], metadata: [String: String], to path: String) throws(InputError) {
        let order = TensorDescription.wideFirst(tensors.map(\.description))
        var writer = try SafetensorsWriter(creating: path, tensors: order, metadata: metadata)
        for description in order {
            for tensor in tensors where tensor.description.name == description.name { try tensor.append(&writer) }
        }
        try writer.finish()
    }
}
