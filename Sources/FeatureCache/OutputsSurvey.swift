import ExitRules
import Ranks

/// What is unusual about exit outputs, counted over all samples by all ranks.
struct OutputsSurvey {
    /// [exits]: the label that an exit gives to every sample; nil where it gives several.
    private(set) var onlyLabels: [Int32?]
    /// [exits] of each measure: confidences that are none of a probability distribution.
    private(set) var outliers: [(measure: ConfidenceMeasure, exits: [Outliers])]

    /// Confidences of an exit outside what a probability distribution has.
    struct Outliers: Sendable {
        var below = 0
        var above = 0
        var smallest = Float.infinity
        var largest = -Float.infinity
    }

    /// Looks at this rank's part of the samples, and asks the others.
    ///
    /// - Parameters:
    ///   - labels: [exits]
    ///   - confidences: [exits] of each measure that is known.
    ///   - classCount: of C probabilities the largest is at least 1/C.
    ///   - sampleCount: of all ranks.
    ///   - ranks: who looks at the other parts.
    /// - Complexity: O(own samples * exits).
    init(
        labels: [SampleColumn<Int32>], confidences: [ConfidenceMeasure: [SampleColumn<Float>]], classCount: Int,
        sampleCount: Int, ranks: any Communicator
    ) {
        let part = ranks.part(of: sampleCount)
        let own = labels.map { column -> [Int32] in
            let labels = column[part]
            // None, one or two: whether there are more does not matter.
            guard let first = labels.first else { return [0, 0, 0] }
            let other = labels.first { $0 != first }
            return [other == nil ? 1 : 2, first, other ?? first]
        }
        let all = ranks.gatheredParts(own.flatMap { $0 })
        onlyLabels = labels.indices.map { exit in
            let seen = Set(all.flatMap { rank in rank[(3 * exit + 1)..<(3 * exit + 1 + Int(rank[3 * exit]))] })
            return seen.count == 1 ? seen.first : nil
        }
        outliers = []
        for measure in ConfidenceMeasure.allCases {
            guard let columns = confidences[measure] else { continue }
            let least = Self.least(measure, classCount: classCount)
            let ranges = columns.map { column -> Outliers in
                var range = Outliers()
                for confidence in column[part] {
                    range.below += confidence < least ? 1 : 0
                    range.above += confidence > 1 + 1e-5 ? 1 : 0
                    range.smallest = min(range.smallest, confidence)
                    range.largest = max(range.largest, confidence)
                }
                return range
            }
            let counts = ranks.sums(ranges.flatMap { [$0.below, $0.above] })
            let ends = ranks.gatheredParts(ranges.flatMap { [$0.smallest, $0.largest] })
            outliers.append(
                (
                    measure,
                    ranges.indices.map { exit in
                        Outliers(
                            below: counts[2 * exit], above: counts[2 * exit + 1],
                            smallest: ends.map { $0[2 * exit] }.min()!, largest: ends.map { $0[2 * exit + 1] }.max()!)
                    }
                ))
        }
    }

    /// Rounding is forgiven.
    private static func least(_ measure: ConfidenceMeasure, classCount: Int) -> Float {
        measure == .maxProbability ? (1 - 1e-5) / Float(classCount) : 0
    }

    /// A sentence for each finding.
    func warnings(of samples: LabelledSamples) -> [String] {
        var warnings: [String] = []
        if samples.classes.count > 1, samples.sampleCount > 1 {
            for (exit, label) in onlyLabels.enumerated() {
                guard let label else { continue }
                warnings.append(
                    "\(samples.path): \(samples.exitNames[exit]) says '\(samples.classes[Int(label)])' of every sample")
            }
        }
        for (measure, exits) in outliers {
            for (exit, range) in exits.enumerated() {
                func warn(_ count: Int, _ what: String) {
                    warnings.append(
                        "\(samples.path): \(samples.exitNames[exit]): \(count) of \(samples.sampleCount) confidences "
                            + "(\(measure.rawValue)) \(what); they are used as they are")
                }
                if range.below > 0, measure == .maxProbability {
                    warn(
                        range.below,
                        "are below 1/\(samples.classes.count) (the smallest is \(range.smallest)), as the largest of "
                            + "\(samples.classes.count) probabilities cannot be (from sigmoids?)")
                } else if range.below > 0 {
                    warn(range.below, "are below 0 (the smallest is \(range.smallest))")
                }
                if range.above > 0 { warn(range.above, "are above 1 (the largest is \(range.largest))") }
            }
        }
        return warnings
    }
}
