import Foundation
import Safetensors

/// The parts of a cache, or of exit outputs, each checked as it is taken out of the file.
struct CacheParts {
    let store: SafetensorsStore
    /// What the tensors are called that say how many samples there are.
    var main = "features"

    /// Without names in the metadata, so many classes at most: a wrong label must not make a list of millions.
    static let mostUnnamedClasses = 65_536

    /// Truth, names, splits, groups and subgroups together.
    ///
    /// - Parameters:
    ///   - labels: [samples]: the truth.
    ///   - exits: how many exits there are.
    ///   - targets: [samples]: numbers to predict; nil for classes.
    func samples(
        labels: [Int32], classes: [String], targets: [Float]? = nil, exits: Int, trainsHeads: Bool
    ) throws(InputError) -> LabelledSamples {
        let count = labels.count
        let subgroups = store["subgroup"] == nil ? nil : try integers("subgroup", count: count)
        return LabelledSamples(
            path: store.path, labels: labels, classes: classes, exitNames: try exitNames(count: exits),
            storedSplit: store["split"] == nil ? nil : try split(count: count),
            groups: store["group"] == nil ? nil : try integers("group", count: count), subgroups: subgroups,
            subgroupNames: try subgroups.map { numbers throws(InputError) in
                try names("subgroups", of: numbers, in: "subgroup")
            } ?? [], targets: targets, trainsHeads: trainsHeads)
    }

    /// [exits]: [samples, width], of a floating-point type; features of a cache, logits of exit outputs.
    func matrices() throws(InputError) -> [TensorView] {
        let tensors = try numbered(main, isNeeded: true)
        for tensor in tensors {
            try checkMatrix(tensor, expected: "[samples, width], both at least 1") {
                $0.count == 2 && $0[0] > 0 && $0[1] > 0
            }
            guard tensor.shape[0] == tensors[0].shape[0] else {
                throw InputError(
                    .mismatch, file: tensor.path, item: tensor.name, seen: "\(tensor.shape[0]) rows",
                    expected: "\(tensors[0].shape[0]), as in \(tensors[0].name)", advice: "Write the file again.")
            }
            guard tensor.shape[0] <= Int(Int32.max) else {
                throw InputError(
                    .unsupported, file: tensor.path, item: tensor.name, seen: "\(tensor.shape[0]) rows",
                    expected: "at most \(Int32.max)")
            }
        }
        return tensors
    }

    /// [exits]: [samples, classes]; empty when there are none.
    func logits(exits: Int, shape: [Int]) throws(InputError) -> [TensorView] {
        let tensors = try numbered("logits", isNeeded: false)
        if tensors.isEmpty { return [] }
        try check(tensors, "logits", exits: exits)
        for tensor in tensors {
            try checkMatrix(tensor, expected: "\(shape), samples and classes") { $0 == shape }
        }
        return tensors
    }

    /// [exits]; empty when the cache is not compressed.
    func projections(of features: [TensorView]) throws(InputError) -> [(matrix: TensorView, offset: TensorView)] {
        let matrices = try numbered("projection", isNeeded: false)
        let offsets = try numbered("offset", isNeeded: false)
        if matrices.isEmpty, offsets.isEmpty { return [] }
        try check(matrices, "projection", exits: features.count)
        try check(offsets, "offset", exits: features.count)
        for (exit, matrix) in matrices.enumerated() {
            let width = features[exit].shape[1]
            try checkMatrix(
                matrix, expected: "[\(width), width of the backbone], since features.\(exit) has width \(width)"
            ) {
                $0.count == 2 && $0[0] == width && $0[1] > 0
            }
            try checkMatrix(offsets[exit], expected: "[\(matrix.shape[1])], the columns of \(matrix.name)") {
                $0 == [matrix.shape[1]]
            }
        }
        return Array(zip(matrices, offsets)).map { (matrix: $0, offset: $1) }
    }

    /// One number for each sample, or for some.
    func integers(_ name: String, count: Int, rows: Range<Int>? = nil) throws(InputError) -> [Int32] {
        let tensor = try store.tensor(name)
        guard tensor.elementType == .int32 || tensor.elementType == .int64 else {
            throw InputError(
                .mismatch, file: tensor.path, item: name, seen: "elements of type \(tensor.elementType.rawValue)",
                expected: "I32 or I64", advice: "Convert the tensor to that type.")
        }
        try check(tensor, shape: [count])
        // All of those in 64 bits are looked at: they must fit 32.
        guard let rows, tensor.elementType == .int32 else {
            let all = try tensor.integers()
            return rows.map { Array(all[$0]) } ?? all
        }
        return tensor.integers(rows: rows)
    }

    /// One number to predict for each sample; nil when the cache has labels instead.
    func targets(count: Int) throws(InputError) -> [Float]? {
        guard store["labels"] == nil, let tensor = store["targets"] else { return nil }
        guard tensor.elementType == .float32 else {
            throw InputError(
                .mismatch, file: tensor.path, item: tensor.name,
                seen: "elements of type \(tensor.elementType.rawValue)", expected: "F32",
                advice: "Convert the tensor to that type.")
        }
        try check(tensor, shape: [count])
        try FeatureCache.checkFinite([tensor])
        return try tensor.floats()
    }

    /// One code for each sample.
    func split(count: Int) throws(InputError) -> [UInt8] {
        let tensor = try store.tensor("split")
        let codes = try tensor.unsignedBytes()
        try check(tensor, shape: [count])
        if let row = codes.firstIndex(where: { $0 != Split.unassignedCode && Split(rawValue: $0) == nil }) {
            let place = tensor.location(ofElement: row)
            throw InputError(
                .outOfRange, file: place.file, item: "split[\(place.index)]\(place.remark)",
                seen: "the code \(codes[row])",
                expected: "0 train, 1 tune, 2 certify, 3 test or 255 for none")
        }
        return codes
    }

    /// The names of classes or subgroups, with every number in range.
    ///
    /// - Parameters:
    ///   - key: of the metadata.
    ///   - numbers: [samples]
    ///   - tensor: what holds the numbers.
    ///   - first: the row of the first of the numbers.
    func names(
        _ key: String, of numbers: [Int32], in tensor: String, from first: Int = 0
    ) throws(InputError) -> [String] {
        func labelError(_ row: Int, expected: String, advice: String) -> InputError {
            let place = store[tensor]?.location(ofElement: first + row)
            return InputError(
                .outOfRange, file: place?.file ?? store.path,
                item: "\(tensor)[\(place?.index ?? first + row)]\(place?.remark ?? "")",
                seen: "\(numbers[row])", expected: expected, advice: advice)
        }
        let one = key == "classes" ? "label" : "subgroup"
        if let row = numbers.firstIndex(where: { $0 < 0 }) {
            throw labelError(
                row, expected: "a number of \(key), from 0", advice: "Leave samples without a \(one) out.")
        }
        guard let names = try list(key) else {
            let most = Self.mostUnnamedClasses
            if let row = numbers.firstIndex(where: { Int($0) >= most }) {
                throw labelError(
                    row, expected: "a \(one) below \(most) where the metadata names no \(key)",
                    advice: "Number the \(key) from 0, or name them in the metadata '\(key)'.")
            }
            return (0...Int(numbers.max() ?? 0)).map(String.init)
        }
        guard !names.isEmpty, Set(names).count == names.count else {
            throw InputError(
                .malformed, file: store.path, item: "metadata '\(key)'",
                seen: names.isEmpty ? "an empty list" : "a name that stands twice", expected: "different names")
        }
        if let row = numbers.firstIndex(where: { Int($0) >= names.count }) {
            throw labelError(
                row, expected: "a \(one) in 0..<\(names.count), since the metadata names \(names.count) \(key)",
                advice: "Name all \(key), or correct the \(one).")
        }
        return names
    }

    /// [exits]
    func exitNames(count: Int) throws(InputError) -> [String] {
        guard let names = try list("exits") else { return (0..<count).map { "exit \($0)" } }
        guard names.count == count else {
            throw InputError(
                .mismatch, file: store.path, item: "metadata 'exits'", seen: "\(names.count) names",
                expected: "\(count), one for each of \(main).0 to \(main).\(count - 1)")
        }
        return names
    }

    /// A list of texts in the metadata; nil when it is not there.
    private func list(_ key: String) throws(InputError) -> [String]? {
        guard let text = store.metadata[key] else { return nil }
        do {
            return try JSONDecoder().decode([String].self, from: Data(text.utf8))
        } catch {
            throw InputError(
                .malformed, file: store.path, item: "metadata '\(key)'", seen: "'\(text.prefix(60))'",
                expected: "a JSON array of strings", advice: "For example [\"negative\", \"positive\"].")
        }
    }

    /// The tensors `prefix.0`, `prefix.1`, ..., none left out.
    func numbered(_ prefix: String, isNeeded: Bool) throws(InputError) -> [TensorView] {
        var tensors: [TensorView] = []
        let candidates = store.tensors.filter { $0.name.hasPrefix("\(prefix).") }
        while let tensor = store["\(prefix).\(tensors.count)"] { tensors.append(tensor) }
        if tensors.count < candidates.count || (isNeeded && tensors.isEmpty) {
            let known = Set(tensors.map(\.name))
            let stranger = candidates.map(\.name).filter { !known.contains($0) }.sorted().first
            throw InputError(
                .missing, file: store.path, item: "\(prefix).\(tensors.count)",
                seen: stranger.map { "no such tensor, but '\($0)'" } ?? "no such tensor",
                expected: "\(prefix).0, \(prefix).1, ..., one for each exit, none left out",
                advice: "There is one tensor of this name for each exit.")
        }
        return tensors
    }

    func check(_ tensors: [TensorView], _ prefix: String, exits: Int) throws(InputError) {
        guard tensors.count == exits else {
            throw InputError(
                .mismatch, file: store.path, item: "\(prefix).<i>", seen: "\(tensors.count) tensors",
                expected: "\(exits), one for each exit of \(main).<i>",
                advice: "Write them for all exits or for none.")
        }
    }

    func check(_ tensor: TensorView, shape: [Int]) throws(InputError) {
        guard tensor.shape == shape else {
            throw InputError(
                .mismatch, file: tensor.path, item: tensor.name, seen: "shape \(tensor.shape)",
                expected: "\(shape), one for each row of \(main).0")
        }
    }

    func checkMatrix(
        _ tensor: TensorView, expected: String, _ isRight: (_ shape: [Int]) -> Bool
    ) throws(InputError) {
        guard tensor.elementType.isFloatingPoint else {
            throw InputError(
                .mismatch, file: tensor.path, item: tensor.name,
                seen: "elements of type \(tensor.elementType.rawValue)", expected: "F32, F16 or BF16")
        }
        guard isRight(tensor.shape) else {
            throw InputError(
                .mismatch, file: tensor.path, item: tensor.name, seen: "shape \(tensor.shape)", expected: expected)
        }
    }
}
