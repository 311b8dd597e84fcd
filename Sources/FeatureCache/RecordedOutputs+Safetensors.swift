import ExitRules
import Foundation
import LinearAlgebra
import Ranks
import Safetensors

extension RecordedOutputs {
    /// Opens exit outputs in safetensors and checks them.
    ///
    /// The file has `labels` [N] I32 or I64, the truth, and for each exit `logits.<i>` [N, classes], or `label.<i>` [N] I32
    /// or I64 with `confidence.<i>`, `margin.<i>` and `entropy.<i>` (in nats) [N], each for all exits or none; optionally
    /// `split`, `group` and `subgroup` as in a cache. A cache with logits will do.
    ///
    /// - Parameters:
    ///   - path: the file, or the index of its shards.
    ///   - listed: the classes where the file does not name them, if they are enough for its labels.
    ///   - ranks: who opens the file at the same time, each to check a part of the samples. The truth, groups and splits
    ///     are in the memory of all; labels and confidences of exits stay in the file.
    /// - Throws: `InputError` as ``FeatureCache/init(opening:checkValues:ranks:)`` does.
    /// - Complexity: O(samples * exits), with logits O(samples * exits * classes); memory O(samples), with logits
    ///   O(samples * exits).
    public init(
        opening path: String, classes listed: [String]? = nil, ranks: any Communicator = OneProcess()
    ) throws(InputError) {
        try self.init(try SafetensorsStore(opening: path), classes: listed, ranks: ranks)
    }

    /// Checks that files which are open hold exit outputs.
    init(
        _ store: SafetensorsStore, classes listed: [String]? = nil, ranks: any Communicator = OneProcess()
    ) throws(InputError) {
        let hasLogits = store.tensors.contains { $0.name.hasPrefix("logits.") }
        let parts = CacheParts(store: store, main: hasLogits ? "logits" : "label")
        let tensors = hasLogits ? try parts.matrices() : try parts.numbered("label", isNeeded: true)
        guard let count = tensors[0].shape.first, count > 0 else {
            throw InputError(
                .mismatch, file: tensors[0].path, item: tensors[0].name, seen: "shape \(tensors[0].shape)",
                expected: "[samples], at least 1")
        }
        let truth = try parts.integers("labels", count: count)
        var labels: [SampleColumn<Int32>] = []
        let part = ranks.part(of: count)
        var classes = try parts.names("classes", of: truth, in: "labels")
        let source: Source
        if hasLogits {
            if store.metadata["classes"] == nil, tensors[0].shape[1] > classes.count {
                classes = (0..<tensors[0].shape[1]).map(String.init)
            }
            let shape = [count, classes.count]
            for tensor in tensors {
                try parts.checkMatrix(tensor, expected: "\(shape), samples and classes") { $0 == shape }
            }
            try FeatureCache.checkFinite(tensors)
            labels = Parallel.map(tensors.count, threads: Parallel.availableThreads) { exit in
                SampleColumn(
                    Self.forEachRow(of: tensors[exit], rows: Array(0..<count)) { Prediction(logits: $0).label })
            }
            source = .logits(tensors)
        } else {
            var counts: [UInt64] = []
            for tensor in tensors {
                let own = try parts.integers(tensor.name, count: count, rows: part)
                counts.append(
                    UInt64(try parts.names("classes", of: own, in: tensor.name, from: part.lowerBound).count))
                labels.append(SampleColumn(labels: tensor))
            }
            // Exits may know classes that no sample has.
            let most = Int(ranks.maxima(counts).max() ?? 0)
            if most > classes.count { classes = (0..<most).map(String.init) }
            source = .confidences(
                try Self.confidences(
                    parts, exits: tensors.count, count: count, classes: classes.count, rows: part))
        }
        if let listed, store.metadata["classes"] == nil, listed.count >= classes.count { classes = listed }
        let samples = try parts.samples(
            labels: truth, classes: classes, exits: tensors.count, trainsHeads: false)
        self.init(
            samples: samples, labels: labels, source: source, digest: Digest(of: store), ranks: ranks)
    }

    private static func confidences(
        _ parts: CacheParts, exits: Int, count: Int, classes: Int, rows: Range<Int>
    ) throws(InputError) -> [ConfidenceMeasure: [SampleColumn<Float>]] {
        let names: [(name: String, measure: ConfidenceMeasure)] = [
            ("confidence", .maxProbability), ("margin", .margin), ("entropy", .entropy),
        ]
        var confidences: [ConfidenceMeasure: [SampleColumn<Float>]] = [:]
        for (name, measure) in names {
            let tensors = try parts.numbered(name, isNeeded: false)
            if tensors.isEmpty { continue }
            try parts.check(tensors, name, exits: exits)
            for tensor in tensors { try parts.checkMatrix(tensor, expected: "[\(count)]") { $0 == [count] } }
            try FeatureCache.checkFinite(tensors, rows: rows)
            confidences[measure] = tensors.map { tensor in
                SampleColumn(tensor) { measure.confidences(recorded: $0, classCount: classes) }
            }
        }
        return confidences
    }
}

extension ConfidenceMeasure {
    /// Confidences from what files hold: as they are, but for an entropy in nats, which becomes `1 - H / ln(classes)`, or 1
    /// where there is one class. Finite where the values are.
    func confidences(recorded values: [Float], classCount: Int) -> [Float] {
        guard self == .entropy else { return values }
        guard classCount > 1 else { return values.map { _ in 1 } }
        let most = log(Double(classCount))
        let largest = Double(Float.greatestFiniteMagnitude)
        return values.map { Float(min(max(1 - Double($0) / most, -largest), largest)) }
    }
}
