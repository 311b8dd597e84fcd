import ExitRules
import LinearAlgebra
import Ranks
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
    /// The SHA-256 of the file; of a large file it takes a while, the first time.
    public var sha256: String { digest.value }

    let digest: Digest
    /// [exits]
    let labels: [SampleColumn<Int32>]
    let source: Source

    /// Where confidences come from.
    enum Source: Sendable {
        /// [exits]: [samples, classes]
        case logits([TensorView])
        /// [exits] of each measure.
        case confidences([ConfidenceMeasure: [SampleColumn<Float>]])
    }

    /// Makes ``sha256`` on all ranks, of shards each some; the same as each by itself would come to.
    public func shareHash(among ranks: any Communicator) { digest.share(among: ranks) }

    /// Collects outputs, and looks at them for what is unusual.
    ///
    /// - Parameter ranks: who opens the file, each to look at its part of the samples.
    init(
        samples: LabelledSamples, labels: [SampleColumn<Int32>], source: Source, digest: Digest,
        ranks: any Communicator = OneProcess()
    ) {
        var confidences: [ConfidenceMeasure: [SampleColumn<Float>]] = [:]
        if case .confidences(let known) = source { confidences = known }
        let survey = OutputsSurvey(
            labels: labels, confidences: confidences, classCount: samples.classes.count,
            sampleCount: samples.sampleCount, ranks: ranks)
        self.init(
            samples: samples, labels: labels, source: source, digest: digest,
            warnings: survey.warnings(of: samples))
    }

    private init(
        samples: LabelledSamples, labels: [SampleColumn<Int32>], source: Source, digest: Digest, warnings: [String]
    ) {
        self.samples = samples
        self.labels = labels
        self.source = source
        self.digest = digest
        self.warnings = warnings
        measures =
            switch source {
            case .logits: Set(ConfidenceMeasure.allCases)
            case .confidences(let confidences): Set(confidences.keys)
            }
    }

    /// The outputs of a network that has only some of the exits, in the order given; the file, its digest and what was found
    /// unusual in it are the same.
    ///
    /// - Complexity: O(exits).
    public func selecting(exits: [Int]) -> RecordedOutputs {
        let source: Source =
            switch self.source {
            case .logits(let logits): .logits(exits.map { logits[$0] })
            case .confidences(let confidences): .confidences(confidences.mapValues { rows in exits.map { rows[$0] } })
            }
        return RecordedOutputs(
            samples: samples.selecting(exits: exits), labels: exits.map { labels[$0] }, source: source, digest: digest,
            warnings: warnings)
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
                confidences = known[measure]!.map { $0.selecting(rows) }
            }
        }
        return ExitOutputs(
            truth: rows.map { samples.labels[$0] }, labels: labels.map { $0.selecting(rows) },
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
}
