import ExitRules
import FeatureCache
import Safetensors
import Statistics

/// Where a study's tune, certify and test samples come from, draw after draw. Train and heads stay as they are.
public struct StudyDraws: Sendable {
    /// How samples are drawn.
    public enum Source: String, CaseIterable, Codable, Sendable {
        /// The samples outside train are divided anew: what another seed would have given. Draws share samples, so they
        /// show speed-up, not validity.
        case resplit
        /// With replacement from all samples outside train, which then are the true distribution: shows validity.
        case bootstrap
    }

    /// Which labels tune and certify have.
    public enum Labels: String, CaseIterable, Codable, Sendable {
        /// Those of the cache.
        case given
        /// Uniform random classes: every policy's gap is exactly 0, so whatever is certified at gap 0 is an error.
        case random
    }

    let source: Source
    let labels: Labels
    let seed: UInt64
    private let classCount: Int
    /// Samples of the pool that are drawn together.
    private let units: [[Int]]
    private let isGrouped: Bool
    private let subject: SplitSubject
    private let plan: SplitPlan
    /// [rows of the cache]: the place in the pool; -1 outside.
    private let places: [Int]
    private let sizes: [Split: Int]

    /// The rows that are not in train, in the order of the pool.
    let poolRows: [Int]

    /// Prepares draws.
    ///
    /// - Throws: `InputError` when a redrawn split would lack a class; the first draw is tried.
    init(_ experiment: Experiment, source: Source, labels: Labels, seed: UInt64) throws(InputError) {
        if labels == .random, experiment.samples.targets != nil {
            throw InputError(
                .unsupported, file: experiment.samples.path, item: "targets", seen: "random labels for numbers",
                expected: "classes", advice: "Draw with --source bootstrap instead.")
        }
        self.source = source
        self.labels = labels
        self.seed = seed
        let splits = experiment.splits
        let drawn: [Split] = [.tune, .certify, .test]
        let rows = drawn.flatMap { splits[$0] }.sorted()
        poolRows = rows
        let total = Double(rows.count)
        sizes = Dictionary(uniqueKeysWithValues: drawn.map { ($0, splits[$0].count) })
        var places = Array(repeating: -1, count: experiment.samples.sampleCount)
        for (place, row) in rows.enumerated() { places[row] = place }
        self.places = places
        classCount = experiment.samples.classes.count
        isGrouped = experiment.maximumGroupSize > 1
        if isGrouped, let groups = experiment.samples.groups {
            units = Dictionary(grouping: rows.indices) { groups[rows[$0]] }.sorted { $0.key < $1.key }
                .map(\.value)
        } else {
            units = rows.indices.map { [$0] }
        }
        // Everything outside the pool counts as train, which no draw touches.
        var subject = experiment.samples.splitSubject
        subject.stored = places.map { $0 < 0 ? Split.train.rawValue : Split.unassignedCode }
        self.subject = subject
        if case .storedTrain = experiment.recipe.splits {
            plan = experiment.recipe.splits
        } else {
            let test = Double(splits.test.count) / total
            let certify = Double(splits.certify.count) / total
            plan = .storedTrain(tune: 1 - certify - test, certify: certify, test: test)
        }
        _ = try plan.draw(from: subject, seed: seed)
    }

    /// One draw of the pool's outputs: those of tune, certify and test.
    ///
    /// - Parameter number: which draw; the same number gives the same samples, whatever was drawn before.
    func draw(_ number: Int, from pool: ExitOutputs) throws(InputError) -> [Split: ExitOutputs] {
        var outputs: [Split: ExitOutputs] = [:]
        switch source {
        case .resplit:
            // As `--seed` would.
            let splits = try plan.draw(from: subject, seed: seed &+ UInt64(number))
            for split in [Split.tune, .certify, .test] {
                outputs[split] = pool.selecting(splits[split].map { places[$0] })
            }
        case .bootstrap:
            for split in [Split.tune, .certify, .test] {
                var generator = generator(number, split)
                outputs[split] = resampled(pool, count: sizes[split]!, using: &generator)
            }
        }
        if labels == .random {
            for split in [Split.tune, .certify] {
                // A stream of its own: the samples themselves were drawn from that of the split.
                var generator = generator(number, split, stream: 1)
                outputs[split]!.truth = outputs[split]!.truth.map { _ in
                    Int32.random(in: 0..<Int32(classCount), using: &generator)
                }
            }
        }
        return outputs
    }

    private func generator(_ number: Int, _ split: Split, stream: UInt64 = 0) -> SplitMix64 {
        SplitMix64(
            seed: SplitMix64.hash(
                seed: SplitMix64.hash(seed: seed, id: UInt64(number)), id: UInt64(split.rawValue) + 4 * stream))
    }

    /// Units drawn with replacement until there are as many samples as asked for.
    private func resampled(
        _ pool: ExitOutputs, count: Int, using generator: inout SplitMix64
    ) -> ExitOutputs {
        var samples: [Int] = []
        var groups: [Int32] = []
        var unit: Int32 = 0
        while samples.count < count {
            let drawn = units[Int.random(in: units.indices, using: &generator)]
            samples += drawn
            groups += drawn.map { _ in unit }
            unit += 1
        }
        var outputs = pool.selecting(samples)
        // A group that is drawn twice is two groups.
        outputs.groups = isGrouped ? groups : nil
        return outputs
    }
}
