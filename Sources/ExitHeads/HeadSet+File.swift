import Safetensors

extension HeadSet {
    /// Reads the heads of all exits from a safetensors file, in the layout of `torch.nn.Linear` and `torch.nn.LayerNorm`.
    ///
    /// A linear head is `exit.<i>.weight` [classes, width] and `exit.<i>.bias` [classes]. One with a hidden layer has
    /// `exit.<i>.hidden.weight` [hidden, width] and `exit.<i>.hidden.bias` [hidden] before them, its weight is then
    /// [classes, hidden]; with a normalisation of the features there are `exit.<i>.norm.weight` and `exit.<i>.norm.bias`
    /// [width]. What hidden units do is in the metadata, `exit.<i>.activation`.
    ///
    /// - Throws: `InputError` for a file that is not of that form, with the tensor, or that holds a number that is not
    ///   finite.
    public init(reading path: String) throws(InputError) {
        let file = try SafetensorsFile(opening: path)
        var heads: [ExitHead] = []
        var known: Set<String> = []
        while file["exit.\(heads.count).weight"] != nil || heads.isEmpty {
            let reader = HeadReader(file: file, exit: heads.count)
            let head = try reader.head()
            heads.append(head)
            known.formUnion(head.tensors(exit: reader.exit).map(\.name))
        }
        if let stranger = file.names.first(where: { !known.contains($0) }) {
            throw InputError(
                .malformed, file: path, item: stranger, seen: "a tensor that belongs to no head",
                expected: "exit.<i>.weight and exit.<i>.bias for exits 0...\(heads.count - 1), none left out",
                advice: "A hidden layer has exit.<i>.hidden.weight and exit.<i>.hidden.bias too.")
        }
        self.init(heads: heads, file: path)
    }

    /// Writes the heads, all or nothing; the same heads give the same bytes.
    ///
    /// - Throws: `InputError` when the place cannot be written to.
    public func write(to path: String) throws(InputError) {
        let tensors = heads.enumerated().flatMap { exit, head in head.tensors(exit: exit) }
        var metadata: [String: String] = [:]
        for (exit, head) in heads.enumerated() {
            if case .hidden(let hidden) = head { metadata["exit.\(exit).activation"] = hidden.activation.rawValue }
        }
        var writer = try SafetensorsWriter(
            creating: path,
            tensors: tensors.map { TensorDescription(name: $0.name, elementType: .float32, shape: $0.shape) },
            metadata: metadata)
        for tensor in tensors { try writer.append(tensor.values, to: tensor.name) }
        try writer.finish()
    }
}

extension ExitHead {
    /// The tensors of the head in a file, in the order in which a sample meets them.
    fileprivate func tensors(exit: Int) -> [(name: String, shape: [Int], values: [Float])] {
        let name = "exit.\(exit)"
        switch self {
        case .linear(let head):
            return [
                ("\(name).weight", [head.classCount, head.width], head.weight),
                ("\(name).bias", [head.classCount], head.bias),
            ]
        case .hidden(let head):
            let norm = head.layerNorm.map {
                [("\(name).norm.weight", [head.width], $0.scale), ("\(name).norm.bias", [head.width], $0.shift)]
            }
            return (norm ?? []) + [
                ("\(name).hidden.weight", [head.hiddenCount, head.width], head.hiddenWeight),
                ("\(name).hidden.bias", [head.hiddenCount], head.hiddenBias),
                ("\(name).weight", [head.classCount, head.hiddenCount], head.weight),
                ("\(name).bias", [head.classCount], head.bias),
            ]
        }
    }
}

/// Takes one exit's head out of a file.
private struct HeadReader {
    let file: SafetensorsFile
    let exit: Int

    func head() throws(InputError) -> ExitHead {
        let last = try layer("exit.\(exit)", outputs: "classes", inputs: isHidden ? "hidden" : "width")
        guard isHidden else { return .linear(last) }
        let hidden = try layer("exit.\(exit).hidden", outputs: "hidden", inputs: "width")
        guard last.width == hidden.classCount else {
            throw InputError(
                .mismatch, file: file.path, item: "exit.\(exit).weight", seen: "\(last.width) columns",
                expected: "\(hidden.classCount), the units of exit.\(exit).hidden.weight")
        }
        return .hidden(
            HiddenHead(
                layerNorm: try layerNorm(width: hidden.width), hiddenWeight: hidden.weight, hiddenBias: hidden.bias,
                activation: try activation(), weight: last.weight, bias: last.bias))
    }

    private var isHidden: Bool { file["exit.\(exit).hidden.weight"] != nil }

    private func activation() throws(InputError) -> Activation {
        let key = "exit.\(exit).activation"
        let names = Activation.allCases.map(\.rawValue)
        guard let name = file.metadata[key] else {
            throw InputError(
                .missing, file: file.path, item: "metadata '\(key)'", seen: "no such text",
                expected: "one of \(names.joined(separator: ", ")), since exit \(exit) has a hidden layer",
                advice: "Write the file again with what the hidden units do.")
        }
        guard let activation = Activation(rawValue: name) else {
            throw InputError(
                .unsupported, file: file.path, item: "metadata '\(key)'", seen: "'\(name.prefix(60))'",
                expected: "one of \(names.joined(separator: ", "))",
                advice: nearestNames(to: name, among: names).first.map { "Did you mean \($0)?" })
        }
        return activation
    }

    private func layerNorm(width: Int) throws(InputError) -> HiddenHead.LayerNorm? {
        let (scale, shift) = ("exit.\(exit).norm.weight", "exit.\(exit).norm.bias")
        guard file[scale] != nil || file[shift] != nil else { return nil }
        func vector(_ name: String) throws(InputError) -> [Float] {
            let tensor = try file.tensor(name)
            guard tensor.shape == [width] else {
                throw InputError(
                    .mismatch, file: file.path, item: name, seen: "shape \(tensor.shape)",
                    expected: "[\(width)], the features of exit.\(exit).hidden.weight")
            }
            return try finite(tensor)
        }
        return HiddenHead.LayerNorm(scale: try vector(scale), shift: try vector(shift))
    }

    private func layer(_ name: String, outputs: String, inputs: String) throws(InputError) -> LinearHead {
        let weight = try file.tensor("\(name).weight")
        let bias = try file.tensor("\(name).bias")
        guard weight.shape.count == 2, weight.shape[0] > 0, weight.shape[1] > 0 else {
            throw InputError(
                .malformed, file: file.path, item: weight.name, seen: "shape \(weight.shape)",
                expected: "[\(outputs), \(inputs)]")
        }
        guard bias.shape == [weight.shape[0]] else {
            throw InputError(
                .mismatch, file: file.path, item: bias.name, seen: "shape \(bias.shape)",
                expected: "[\(weight.shape[0])], the \(outputs) of \(weight.name)")
        }
        return LinearHead(weight: try finite(weight), bias: try finite(bias))
    }

    private func finite(_ tensor: TensorView) throws(InputError) -> [Float] {
        let values = try tensor.floats()
        if let index = values.firstIndex(where: { !$0.isFinite }) {
            throw InputError(
                .notFinite, file: file.path, item: tensor.name, seen: "\(values[index]) at element \(index)",
                expected: "finite numbers", advice: "Train the heads again.")
        }
        return values
    }
}
