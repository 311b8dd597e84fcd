import Safetensors

extension HeadSet {
    /// Reads the heads of all exits from a safetensors file: `exit.<i>.weight` [classes, width] and `exit.<i>.bias`
    /// [classes], the layout of `torch.nn.Linear`.
    ///
    /// - Throws: ``InputError`` for a file that is not of that form, with the tensor, or that holds a number that is not
    ///   finite.
    public init(reading path: String) throws(InputError) {
        let file = try SafetensorsFile(opening: path)
        var heads: [LinearHead] = []
        while file["exit.\(heads.count).weight"] != nil || heads.isEmpty {
            heads.append(try Self.head(of: file, exit: heads.count))
        }
        let known = Set(heads.indices.flatMap { ["exit.\($0).weight", "exit.\($0).bias"] })
        if let stranger = file.names.first(where: { !known.contains($0) }) {
            let isHidden = stranger.contains(".hidden.")
            throw InputError(
                isHidden ? .unsupported : .malformed, file: path, item: stranger,
                seen: isHidden ? "a head with a hidden layer" : "a tensor that belongs to no head",
                expected: "exit.<i>.weight and exit.<i>.bias for exits 0...\(heads.count - 1), none left out")
        }
        self.init(heads: heads, file: path)
    }

    private static func head(of file: SafetensorsFile, exit: Int) throws(InputError) -> LinearHead {
        let weight = try file.tensor("exit.\(exit).weight")
        let bias = try file.tensor("exit.\(exit).bias")
        guard weight.shape.count == 2, weight.shape[0] > 0, weight.shape[1] > 0 else {
            throw InputError(
                .malformed, file: file.path, item: weight.name, seen: "shape \(weight.shape)",
                expected: "[classes, width]")
        }
        guard bias.shape == [weight.shape[0]] else {
            throw InputError(
                .mismatch, file: file.path, item: bias.name, seen: "shape \(bias.shape)",
                expected: "[\(weight.shape[0])], the classes of \(weight.name)")
        }
        return LinearHead(weight: try finite(weight, in: file), bias: try finite(bias, in: file))
    }

    private static func finite(_ tensor: TensorView, in file: SafetensorsFile) throws(InputError) -> [Float] {
        let values = try tensor.floats()
        if let index = values.firstIndex(where: { !$0.isFinite }) {
            throw InputError(
                .notFinite, file: file.path, item: tensor.name, seen: "\(values[index]) at element \(index)",
                expected: "finite numbers", advice: "Train the heads again.")
        }
        return values
    }

    /// Writes the heads, all or nothing; the same heads give the same bytes.
    ///
    /// - Throws: ``InputError`` when the place cannot be written to.
    public func write(to path: String) throws(InputError) {
        let tensors = heads.enumerated().flatMap { exit, head in
            [
                TensorDescription(
                    name: "exit.\(exit).weight", elementType: .float32, shape: [head.classCount, head.width]),
                TensorDescription(name: "exit.\(exit).bias", elementType: .float32, shape: [head.classCount]),
            ]
        }
        var writer = try SafetensorsWriter(creating: path, tensors: tensors)
        for (exit, head) in heads.enumerated() {
            try writer.append(head.weight, to: "exit.\(exit).weight")
            try writer.append(head.bias, to: "exit.\(exit).bias")
        }
        try writer.finish()
    }
}
