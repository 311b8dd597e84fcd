import Backprop
import ExitHeads
import ExitRules
import FeatureCache
import LinearAlgebra
import Safetensors

/// What knows what every exit says of any sample: heads on a backbone's features, or outputs recorded elsewhere.
public enum ExitSource: Sendable {
    /// Heads, and the features they read; with numbers, by how much they may differ that count as the same.
    case heads(HeadSet, on: FeatureCache, tolerance: Double?)
    /// Outputs from a file.
    case recorded(RecordedOutputs)

    /// Truth, classes, exits, splits and groups.
    public var samples: LabelledSamples {
        switch self {
        case .heads(_, let cache, _): cache.samples
        case .recorded(let outputs): outputs.samples
        }
    }

    /// What confidence can measure; empty where labels are all that is known.
    public var measures: Set<ConfidenceMeasure> {
        switch self {
        case .heads(_, let cache, _): cache.targets == nil ? Set(ConfidenceMeasure.allCases) : []
        case .recorded(let outputs): outputs.measures
        }
    }

    /// What is left where only some exits are offered.
    public func selecting(exits: [Int]) -> ExitSource {
        switch self {
        case .heads(let heads, let cache, let tolerance):
            .heads(heads.selecting(exits: exits), on: cache.selecting(exits: exits), tolerance: tolerance)
        case .recorded(let outputs): .recorded(outputs.selecting(exits: exits))
        }
    }

    /// The same exits for one rank that works by itself from here on.
    public func readAlone() -> ExitSource {
        switch self {
        case .heads(let heads, let cache, let tolerance):
            .heads(heads, on: cache.readAlone(), tolerance: tolerance)
        case .recorded: self
        }
    }

    /// What all exits say of some rows; where ranks read the features together, all of them ask at the same time.
    ///
    /// - Parameters:
    ///   - rows: which samples, in which order.
    ///   - measure: what is reported as confidence, where that is known: rules that need it have been checked to have it
    ///     (``Experiment``), and to the others it makes no difference.
    ///   - temperatures: [exits]; 1 where none are given.
    ///   - threads: how many may be used; the result does not depend on it.
    /// - Throws: `InputError` when heads and features do not fit, or confidences are to be rescaled.
    /// - Complexity: with heads O(rows * widths * classes), and the features are read once; otherwise O(rows * exits).
    public func outputs(
        rows: [Int], measure: ConfidenceMeasure, temperatures: [Double]? = nil,
        threads: Int = Parallel.availableThreads
    ) throws(InputError) -> ExitOutputs {
        switch self {
        case .heads(let heads, let cache, let tolerance):
            try heads.outputs(
                on: cache, rows: rows, temperatures: temperatures, measure: measure, tolerance: tolerance,
                threads: threads)
        case .recorded(let outputs):
            try outputs.outputs(
                rows: rows, measure: outputs.measures.contains(measure) ? measure : nil, temperatures: temperatures,
                threads: threads)
        }
    }
}

extension HeadSet {
    /// Checks that the heads read what the cache holds.
    public func check(against cache: FeatureCache) throws(InputError) {
        guard heads.count == cache.exitCount else {
            throw InputError(
                .mismatch, file: file, seen: "heads of \(heads.count) exits",
                expected: "one for each of the \(cache.exitCount) exits in \(cache.path)",
                advice: "Heads and features belong to different networks, or one of the files is incomplete.")
        }
        for (exit, head) in heads.enumerated() {
            guard head.width == cache.width(ofExit: exit) else {
                let isHidden = if case .hidden = head { true } else { false }
                throw InputError(
                    .mismatch, file: file, item: "exit.\(exit)\(isHidden ? ".hidden" : "").weight",
                    seen: "\(head.width) features",
                    expected: "\(cache.width(ofExit: exit)), as in features.\(exit) of \(cache.path)",
                    advice: "Heads exported with --full-width fit the backbone, not a compressed cache.")
            }
            guard head.classCount == cache.classes.count else {
                throw InputError(
                    .mismatch, file: file, item: "exit.\(exit).bias", seen: "\(head.classCount) classes",
                    expected: "\(cache.classes.count), as in \(cache.path)")
            }
        }
    }

    /// What the heads say of some rows of a cache.
    ///
    /// - Parameters:
    ///   - cache: their features.
    ///   - rows: which samples, in which order.
    ///   - measure: what is reported as confidence.
    ///   - temperatures: [exits]; 1 where none are given.
    ///   - tolerance: with numbers, by how much they may differ that count as the same.
    ///   - threads: how many may be used; the result does not depend on it.
    /// - Complexity: O(rows * widths * classes); reads the features once.
    public func outputs(
        on cache: FeatureCache, rows: [Int], temperatures: [Double]? = nil, measure: ConfidenceMeasure,
        tolerance: Double? = nil, threads: Int = Parallel.availableThreads
    ) throws(InputError) -> ExitOutputs {
        try check(against: cache)
        let groups = cache.groups.map { groups in rows.map { groups[$0] } }
        let subgroups = cache.subgroups.map { subgroups in rows.map { subgroups[$0] } }
        if let targets = cache.targets {
            let values = heads.indices.map { exit in
                ExitForward(head: heads[exit])
                    .logits(
                        of: CacheRows(cache: cache, exit: exit, rows: rows), threads: threads, ranks: cache.ranks)
            }
            return ExitOutputs(
                numbers: PredictedNumbers(
                    values: values, targets: rows.map { targets[$0] }, tolerance: tolerance ?? 0),
                groups: groups, subgroups: subgroups)
        }
        let predictions = heads.indices.map { exit in
            ExitForward(head: heads[exit], temperature: temperatures?[exit] ?? 1, measure: measure)
                .predictions(
                    for: CacheRows(cache: cache, exit: exit, rows: rows), threads: threads, ranks: cache.ranks)
        }
        return ExitOutputs(
            truth: rows.map { cache.labels[$0] }, labels: predictions.map(\.labels),
            confidences: predictions.map(\.confidences), groups: groups, subgroups: subgroups)
    }
}
