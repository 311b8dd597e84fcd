import ExitRules
import LinearAlgebra
import Safetensors

/// What exits that were trained elsewhere said of labelled samples: exit outputs from a file. Heads are not needed.
///
/// A value of this type has been checked: labels are in range, confidences are finite, every sample has all exits.
public struct RecordedOutputs: Sendable {
    /// Truth, classes, exits, splits and groups.
    public let samples: LabelledSamples
    /// What is unusual, and accepted; a sentence each.
    public let warnings: [String]
    /// What confidence can measure: all three where there are logits; none where there are labels alone.
    public let measures: Set<ConfidenceMeasure>
    /// The SHA-256 of the file.
    public let sha256: String

    /// [exits][samples]
    let labels: [[Int32]]
    let source: Source

    /// Where confidences come from.
    enum Source: Sendable {
        /// [exits]: [samples, classes]
        case logits([TensorView])
        /// [exits][samples] of each measure.
        case confidences([ConfidenceMeasure: [[Float]]])
    }

    init(samples: LabelledSamples, labels: [[Int32]], source: Source, sha256: String) {
        self.samples = samples
        self.labels = labels
        self.source = source
        self.sha256 = sha256
        var warnings = Self.oneLabelWarnings(labels, samples)
        switch source {
        case .logits: measures = Set(ConfidenceMeasure.allCases)
        case .confidences(let confidences):
            measures = Set(confidences.keys)
            for measure in ConfidenceMeasure.allCases {
                warnings += confidences[measure].map { Self.rangeWarnings($0, measure, samples) } ?? []
            }
        }
        self.warnings = warnings
    }

    /// The outputs of a network that has only some of the exits, in the order given; the file, and its digest, are the same.
    ///
    /// - Complexity: O(exits).
    public func selecting(exits: [Int]) -> RecordedOutputs {
        let source: Source =
            switch self.source {
            case .logits(let logits): .logits(exits.map { logits[$0] })
            case .confidences(let confidences): .confidences(confidences.mapValues { rows in exits.map { rows[$0] } })
            }
        return RecordedOutputs(
            samples: samples.selecting(exits: exits), labels: exits.map { labels[$0] }, source: source, sha256: sha256)
    }

    /// What all exits say of some rows.
    ///
    /// - Parameters:
    ///   - rows: which samples, in which order.
    ///   - measure: what is reported as confidence; nil for none, also where it is not known.
    ///   - temperatures: [exits]: what logits are divided by; 1 where none are given.
    ///   - threads: how many may be used; the result does not depend on it.
    /// - Throws: `missing` when the file does not say what the measure needs; `unsupported` for temperatures where there
    ///   are no logits.
    /// - Complexity: O(rows * exits), with logits O(rows * exits * classes).
    public func outputs(
        rows: [Int], measure: ConfidenceMeasure?, temperatures: [Double]? = nil,
        threads: Int = Parallel.availableThreads
    ) throws(InputError) -> ExitOutputs {
        var confidences: [[Float]]?
        if let measure {
            try require(measure)
            switch source {
            case .logits(let logits):
                confidences = Parallel.map(logits.count, threads: threads) { exit in
                    Self.confidences(
                        logits[exit], rows: rows, temperature: temperatures?[exit] ?? 1, measure: measure)
                }
            case .confidences(let known):
                if let temperature = temperatures?.first(where: { $0 != 1 }) {
                    throw InputError(
                        .unsupported, file: samples.path, seen: "confidences, and a temperature of \(temperature)",
                        expected: "logits", advice: "A confidence cannot be rescaled; record logits instead.")
                }
                confidences = known[measure]!.map { row in rows.map { row[$0] } }
            }
        }
        return ExitOutputs(
            truth: rows.map { samples.labels[$0] }, labels: labels.map { row in rows.map { row[$0] } },
            confidences: confidences, groups: samples.groups.map { groups in rows.map { groups[$0] } },
            subgroups: samples.subgroups.map { subgroups in rows.map { subgroups[$0] } })
    }

    /// Refuses a measure that the file does not tell.
    ///
    /// - Throws: `missing`, with the rules that ask for none.
    public func require(_ measure: ConfidenceMeasure) throws(InputError) {
        guard !measures.contains(measure) else { return }
        let known = ConfidenceMeasure.allCases.filter(measures.contains).map(\.rawValue)
        throw InputError(
            .missing, file: samples.path, item: measure.rawValue,
            seen: known.isEmpty ? "labels without any confidence" : "\(known.joined(separator: ", ")) alone",
            expected: "what the rule's confidence measures: \(measure.rawValue)",
            advice: known.isEmpty
                ? "Use `rule: { kind: patience }` or `static`, which need labels alone, name the column of confidences under "
                    + "`outputs.columns`, or record them."
                : "Choose a rule that is content with it, or record logits, which give all measures.")
    }

    private static func confidences(
        _ logits: TensorView, rows: [Int], temperature: Double, measure: ConfidenceMeasure
    ) -> [Float] {
        forEachRow(of: logits, rows: rows) {
            Prediction(logits: $0, temperature: temperature, measure: measure).confidence
        }
    }

    /// What a function makes of some rows of logits, read in blocks.
    static func forEachRow<Value>(
        of logits: TensorView, rows: [Int], _ body: (UnsafeBufferPointer<Float>) -> Value
    ) -> [Value] {
        let classes = logits.shape[1]
        let block = 1024
        var values: [Value] = []
        values.reserveCapacity(rows.count)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: block * classes) { buffer in
            for start in stride(from: 0, to: rows.count, by: block) {
                let some = rows[start..<min(start + block, rows.count)].map(Int32.init)
                some.withUnsafeBufferPointer { logits.copyRows($0, into: buffer.baseAddress!) }
                for index in some.indices {
                    values.append(
                        body(UnsafeBufferPointer(rebasing: buffer[(index * classes)..<((index + 1) * classes)])))
                }
            }
        }
        return values
    }

    private static func oneLabelWarnings(_ labels: [[Int32]], _ samples: LabelledSamples) -> [String] {
        guard samples.classes.count > 1, samples.sampleCount > 1 else { return [] }
        return labels.enumerated().compactMap { exit, row in
            guard row.allSatisfy({ $0 == row[0] }) else { return nil }
            return "\(samples.path): \(samples.exitNames[exit]) says '\(samples.classes[Int(row[0])])' of every sample"
        }
    }

    /// Confidences that are none of a probability distribution; the search needs no more than that they rise with
    /// certainty.
    private static func rangeWarnings(
        _ rows: [[Float]], _ measure: ConfidenceMeasure, _ samples: LabelledSamples
    ) -> [String] {
        // Of C probabilities the largest is at least 1/C; rounding is forgiven.
        let least: Float = measure == .maxProbability ? (1 - 1e-5) / Float(samples.classes.count) : 0
        return rows.enumerated().flatMap { exit, row in
            let (below, above) = (row.count { $0 < least }, row.count { $0 > 1 + 1e-5 })
            var warnings: [String] = []
            func warn(_ count: Int, _ what: String) {
                warnings.append(
                    "\(samples.path): \(samples.exitNames[exit]): \(count) of \(row.count) confidences (\(measure.rawValue)) "
                        + "\(what); they are used as they are")
            }
            if below > 0, measure == .maxProbability {
                warn(
                    below,
                    "are below 1/\(samples.classes.count) (the smallest is \(row.min()!)), as the largest of "
                        + "\(samples.classes.count) probabilities cannot be (from sigmoids?)")
            } else if below > 0 {
                warn(below, "are below 0 (the smallest is \(row.min()!))")
            }
            if above > 0 { warn(above, "are above 1 (the largest is \(row.max()!))") }
            return warnings
        }
    }
}
