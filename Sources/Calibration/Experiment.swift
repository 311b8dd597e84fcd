import Backprop
import ExitHeads
import ExitRules
import FeatureCache
import LinearAlgebra
import Safetensors
import Synchronization

/// A recipe with its data opened and checked: what every step of a calibration starts from.
public struct Experiment: Sendable {
    /// What the user wants.
    public private(set) var recipe: Recipe
    /// The features.
    public let cache: FeatureCache
    /// Which sample serves what.
    public let splits: Splits
    /// [exits]: the cumulative cost of each exit.
    public let costs: [Double]
    /// The largest group of samples that can occur; 1 when all samples are independent.
    public let maximumGroupSize: Int
    /// [classes or subgroups]: the names of the parts the guarantee speaks of; empty when it speaks of none.
    public let partNames: [String]
    /// How many threads may be used; results do not depend on it.
    public var threads: Int

    /// Opens the recipe's feature cache, checks that it fits the recipe, and draws the splits.
    ///
    /// - Throws: ``InputError`` for whatever is wrong with the cache, or with the recipe in view of it.
    /// - Complexity: O(bytes of the cache), read once to see that every feature is finite.
    public init(_ recipe: Recipe, threads: Int = Parallel.availableThreads) throws(InputError) {
        self.recipe = recipe
        self.threads = threads
        cache = try FeatureCache(opening: recipe.features)
        splits = try recipe.splits.draw(from: cache, seed: recipe.seed)
        costs = try Self.costs(of: recipe, exitCount: cache.exitCount)
        maximumGroupSize = try Self.maximumGroupSize(recipe, cache: cache, splits: splits)
        partNames = try Self.partNames(of: recipe, cache: cache)
        if case .exit(let index) = recipe.guarantee.reference, index >= cache.exitCount {
            throw InputError(
                .outOfRange, file: recipe.file, item: "guarantee.reference", seen: "exit \(index)",
                expected: "an exit in 0..<\(cache.exitCount), as in \(recipe.features)")
        }
        if case .given(let weights) = recipe.rule.weights, weights.count != cache.exitCount {
            throw InputError(
                .mismatch, file: recipe.file, item: "rule.weights", seen: "\(weights.count) weights",
                expected: "one for each of the \(cache.exitCount) exits in \(recipe.features)")
        }
    }

    private static func costs(of recipe: Recipe, exitCount: Int) throws(InputError) -> [Double] {
        switch recipe.cost {
        case .layers: return (1...exitCount).map(Double.init)
        case .list(let costs):
            guard costs.count == exitCount else {
                throw InputError(
                    .mismatch, file: recipe.file, item: "cost", seen: "\(costs.count) costs",
                    expected: "one for each of the \(exitCount) exits in \(recipe.features)")
            }
            return costs
        }
    }

    /// The size that the recipe declares, or the largest of train and tune; certify may not have a larger one.
    private static func maximumGroupSize(
        _ recipe: Recipe, cache: FeatureCache, splits: Splits
    ) throws(InputError) -> Int {
        let declared = recipe.guarantee.maximumGroupSize
        guard cache.groups != nil else {
            if let declared, declared > 1 {
                throw InputError(
                    .missing, file: cache.path, item: "group", seen: "no groups",
                    expected: "the tensor 'group', since the recipe says maxGroupSize: \(declared)",
                    advice: "Store a group for each sample, or leave maxGroupSize out.")
            }
            return 1
        }
        let seen = [splits.train, splits.tune].compactMap { cache.largestGroup(in: $0)?.size }.max() ?? 1
        let maximum = declared ?? seen
        try cache.requireGroups(
            of: splits.certify, atMost: maximum,
            declaredBy: declared == nil ? "the largest of the train and tune splits" : "the recipe's maxGroupSize")
        return maximum
    }

    private static func partNames(of recipe: Recipe, cache: FeatureCache) throws(InputError) -> [String] {
        switch recipe.guarantee.parts?.partition {
        case .classes: return cache.classes
        case .subgroups:
            guard cache.subgroups != nil else {
                throw InputError(
                    .missing, file: cache.path, item: "subgroup", seen: "no subgroups",
                    expected: "the tensor 'subgroup', since the recipe speaks of them",
                    advice: "Store a subgroup for each sample, and their names in the metadata 'subgroups'.")
            }
            return cache.subgroupNames
        case nil: return []
        }
    }

    /// Trains the head of every exit.
    ///
    /// Exits are independent, so they are trained at the same time, as many as there are threads.
    ///
    /// - Parameters:
    ///   - initial: heads to start from; zero otherwise.
    ///   - progress: called when an exit is done, from any thread, with how many are.
    /// - Returns: [exits]
    /// - Throws: ``InputError`` when `initial` does not fit the features, or when training diverges.
    public func train(
        from initial: HeadSet? = nil, progress: @Sendable (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws(InputError) -> [TrainedHead] {
        if let initial { try initial.check(against: cache) }
        let done = Atomic(0)
        let outer = min(threads, cache.exitCount)
        let trainer = trainer(threads: max(1, threads / outer), memoryBudget: Self.memoryBudget / outer)
        let trained = Parallel.map(cache.exitCount, threads: outer) { exit in
            let head = trainer.train(
                LabelledRows(cache: cache, exit: exit, rows: splits[.train]),
                tune: LabelledRows(cache: cache, exit: exit, rows: splits[.tune]),
                classCount: cache.classes.count, initial: initial?.heads[exit])
            progress(done.add(1, ordering: .relaxed).newValue, cache.exitCount)
            return head
        }
        for (exit, head) in trained.enumerated() where !head.head.isFinite {
            throw InputError(
                .notFinite, file: recipe.file, item: "training", seen: "training of exit \(exit) that diverged",
                expected: "finite parameters", advice: "Choose a smaller learningRate.")
        }
        return trained
    }

    /// What the heads say of every sample of every split.
    ///
    /// - Throws: ``InputError`` when heads and features do not fit.
    public func outputs(of heads: HeadSet) throws(InputError) -> SplitOutputs {
        var outputs: [Split: ExitOutputs] = [:]
        for split in Split.allCases {
            outputs[split] = try heads.outputs(
                on: cache, rows: splits[split], measure: recipe.rule.confidence, threads: threads)
        }
        return SplitOutputs(outputs)
    }

    /// Picks the rule where the recipe leaves that open; from here on the recipe has it.
    ///
    /// - Returns: what was predicted of all rules; nil where the recipe names its rule.
    /// - Throws: ``InputError`` when heads and features do not fit.
    public mutating func pickRule(for heads: HeadSet) throws(InputError) -> AutomaticRule? {
        guard recipe.picksRule else { return nil }
        let classCount = cache.classes.count
        var tune: [ConfidenceMeasure: ExitOutputs] = [:]
        for measure in Set(AutomaticRule.rules(classCount: classCount).map(\.confidence)) {
            tune[measure] = try heads.outputs(on: cache, rows: splits[.tune], measure: measure, threads: threads)
        }
        let automatic = try AutomaticRule(
            Calibrator(self), tune: tune, certifySamples: splits.certify.count, classCount: classCount)
        recipe.rule = automatic.rule
        return automatic
    }
}

extension Experiment {
    /// The training objective of a saved head of an exit on the train split, in nats: what training minimises.
    ///
    /// - Complexity: O(rows * width * classes).
    public func objective(of head: LinearHead, exit: Int, l2: Double) -> Double {
        trainer(threads: threads).objective(
            of: head, on: LabelledRows(cache: cache, exit: exit, rows: splits[.train]), l2: l2)
    }

    /// What all exits in training may keep in memory together; beyond it, rows are read again in every pass.
    private static let memoryBudget = 48 << 20

    private func trainer(threads: Int, memoryBudget: Int = 0) -> LinearHeadTrainer {
        LinearHeadTrainer(settings: recipe.training, threads: threads, seed: recipe.seed, memoryBudget: memoryBudget)
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
                throw InputError(
                    .mismatch, file: file, item: "exit.\(exit).weight", seen: "\(head.width) features",
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
    ///   - temperatures: [exits]; 1 where none are given.
    /// - Complexity: O(rows * widths * classes); reads the features once.
    public func outputs(
        on cache: FeatureCache, rows: [Int], temperatures: [Double]? = nil, measure: ConfidenceMeasure,
        threads: Int = Parallel.availableThreads
    ) throws(InputError) -> ExitOutputs {
        try check(against: cache)
        let predictions = heads.indices.map { exit in
            ExitForward(head: heads[exit], temperature: temperatures?[exit] ?? 1, measure: measure)
                .predictions(for: CacheRows(cache: cache, exit: exit, rows: rows), threads: threads)
        }
        return ExitOutputs(
            truth: rows.map { cache.labels[$0] }, labels: predictions.map(\.labels),
            confidences: predictions.map(\.confidences), groups: cache.groups.map { groups in rows.map { groups[$0] } },
            subgroups: cache.subgroups.map { subgroups in rows.map { subgroups[$0] } })
    }
}
