import ExitHeads
import ExitRules
import FeatureCache
import LinearAlgebra
import Ranks
import Safetensors
import ThresholdOptimizer

/// A recipe with its data opened and checked: what every step of a calibration starts from.
public struct Experiment: Sendable {
    /// What the user wants.
    public private(set) var recipe: Recipe
    /// What the exits see, or what they said.
    public private(set) var data: ExperimentData
    /// Which sample serves what.
    public let splits: Splits
    /// What coming to each exit costs.
    public private(set) var costs: ExitCosts
    /// How batches are served, where the recipe says how long they take.
    public private(set) var serving: BatchedServing?
    /// [exits]: what the check of each exit takes of a batch, where the recipe's table tells.
    private var servingChecks: [BatchCostCurve]?
    /// The largest group of samples that can occur; 1 when all samples are independent.
    public let maximumGroupSize: Int
    /// [classes or subgroups]: the names of the parts the guarantee speaks of; empty when it speaks of none.
    public let partNames: [String]
    /// How many threads may be used; results do not depend on it.
    public var threads: Int
    /// Who works on the experiment, each with its part of the rows; results do not depend on how many they are.
    public let ranks: any Communicator

    /// Opens the recipe's data, checks that they fit the recipe, and draws the splits.
    ///
    /// - Parameters:
    ///   - recipe: what the user wants.
    ///   - threads: how many may be used.
    ///   - ranks: who opens the same recipe at the same time.
    /// - Throws: `InputError` for whatever is wrong with the data, or with the recipe in view of them.
    /// - Complexity: O(bytes of the data), read once to see that every number is finite.
    public init(
        _ recipe: Recipe, threads: Int = Parallel.availableThreads, ranks: any Communicator = OneProcess()
    ) throws(InputError) {
        self.recipe = recipe
        self.threads = threads
        self.ranks = ranks
        data = try ExperimentData(recipe.data, ranks: ranks)
        data.shareHash(among: ranks)
        let samples = data.samples
        splits = try recipe.splits.draw(from: samples.splitSubject, seed: recipe.seed)
        costs = try recipe.cost.costs(recipe: recipe, samples: samples, splits: splits)
        if case .batches(let choice) = recipe.cost {
            (serving, servingChecks) = try choice.serving(exitCount: samples.exitCount)
        }
        maximumGroupSize = try Self.maximumGroupSize(recipe, samples: samples, splits: splits)
        partNames = try Self.partNames(of: recipe, samples: samples)
        if case .exit(let index) = recipe.guarantee.reference, index >= samples.exitCount {
            throw InputError(
                .outOfRange, file: recipe.file, item: "guarantee.reference", seen: "exit \(index)",
                expected: "an exit in 0..<\(samples.exitCount), as in \(samples.path)")
        }
        if case .given(let weights) = recipe.rule.weights, weights.count != samples.exitCount {
            throw InputError(
                .mismatch, file: recipe.file, item: "rule.weights", seen: "\(weights.count) weights",
                expected: "one for each of the \(samples.exitCount) exits in \(samples.path)")
        }
        try Self.checkExits(recipe, samples: samples, costs: costs)
        try Self.checkTargets(recipe, data)
        if case .outputs(let outputs) = data, recipe.picksRule || recipe.rule.kind.usesConfidence {
            try outputs.require(recipe.picksRule ? .maxProbability : recipe.rule.confidence)
        }
    }

    /// Exits that are named must be there; to choose them one must know what their checks cost.
    private static func checkExits(
        _ recipe: Recipe, samples: LabelledSamples, costs: ExitCosts
    ) throws(InputError) {
        switch recipe.exits {
        case .all: break
        case .given(let exits):
            guard let stranger = exits.first(where: { $0 >= samples.exitCount }) else { break }
            throw InputError(
                .outOfRange, file: recipe.file, item: "search.exits", seen: "exit \(stranger)",
                expected: "exits in 0..<\(samples.exitCount), as in \(samples.path)")
        case .choose:
            guard costs.checks == nil else { break }
            throw InputError(
                .missing, file: recipe.file, item: "search.exits",
                seen: "`choose`, and costs that say nothing of checks",
                expected: "what pooling, head and decision of each exit cost",
                advice:
                    "Say `cost: { layers: { check: 0.1 } }`, in layers; `flops` and the tables of `beem-policy time` "
                    + "tell it.")
        }
    }

    /// A cache of numbers and a recipe for classes, or the other way round, do not go together.
    private static func checkTargets(_ recipe: Recipe, _ data: ExperimentData) throws(InputError) {
        guard case .features(let cache) = data else { return }
        let learnsNumbers = recipe.training.loss.kind == .squaredError
        guard learnsNumbers != (cache.targets != nil) else { return }
        throw InputError(
            .mismatch, file: cache.path, item: learnsNumbers ? "labels" : "targets",
            seen: learnsNumbers ? "labels" : "numbers to predict",
            expected: learnsNumbers
                ? "the tensor 'targets' instead, since \(recipe.file) says loss: squared-error"
                : "labels, since \(recipe.file) does not say `training: { loss: squared-error }`",
            advice: learnsNumbers ? "Store 'targets' [samples] in F32, and no 'labels'." : nil)
    }

    /// Truth, classes, exits, splits and groups.
    public var samples: LabelledSamples { data.samples }

    /// The SHA-256 of the data's file.
    public var dataHash: String { data.sha256() }

    /// The features.
    ///
    /// - Throws: `InputError` where the recipe has outputs of exits that were trained elsewhere.
    public func features() throws(InputError) -> FeatureCache {
        guard case .features(let cache) = data else {
            throw InputError(
                .unsupported, file: recipe.file, item: "outputs", seen: "outputs of exits that were trained elsewhere",
                expected: "`features` to train heads on",
                advice: "There is nothing to train: go on with `beem calibrate`.")
        }
        return cache
    }

    /// The size that the recipe declares, or the largest of train and tune; certify may not have a larger one.
    private static func maximumGroupSize(
        _ recipe: Recipe, samples: LabelledSamples, splits: Splits
    ) throws(InputError) -> Int {
        let declared = recipe.guarantee.maximumGroupSize
        guard samples.groups != nil else {
            if let declared, declared > 1 {
                throw InputError(
                    .missing, file: samples.path, item: "group", seen: "no groups",
                    expected: "the tensor 'group', since the recipe says maxGroupSize: \(declared)",
                    advice: "Store a group for each sample, or leave maxGroupSize out.")
            }
            return 1
        }
        let seen = [splits.train, splits.tune].compactMap { samples.largestGroup(in: $0)?.size }.max() ?? 1
        let maximum = declared ?? seen
        try samples.requireGroups(
            of: splits.certify, atMost: maximum,
            declaredBy: declared == nil ? "the largest of the train and tune splits" : "the recipe's maxGroupSize")
        return maximum
    }

    private static func partNames(
        of recipe: Recipe, samples: LabelledSamples
    ) throws(InputError) -> [String] {
        switch recipe.guarantee.parts?.partition {
        case .classes: return samples.classes
        case .subgroups:
            guard samples.subgroups != nil else {
                throw InputError(
                    .missing, file: samples.path, item: "subgroup", seen: "no subgroups",
                    expected: "the tensor 'subgroup', since the recipe speaks of them",
                    advice: "Store a subgroup for each sample, and their names in the metadata 'subgroups'.")
            }
            return samples.subgroupNames
        case nil: return []
        }
    }

    /// What heads say on this experiment's features; outputs recorded elsewhere need none.
    ///
    /// - Throws: `InputError` when heads and features do not fit, or are needed and not there.
    public func exits(_ heads: HeadSet? = nil) throws(InputError) -> ExitSource {
        guard let heads else {
            guard case .outputs(let outputs) = data else {
                throw InputError(
                    .missing, file: recipe.file, item: "features", seen: "features without heads",
                    expected: "trained heads", advice: "Train them with `beem train`.")
            }
            return .recorded(outputs)
        }
        guard case .features(let cache) = data else {
            throw InputError(
                .unsupported, file: recipe.file, item: "outputs", seen: "heads beside recorded outputs",
                expected: "no heads: the outputs are what the exits say", advice: "Leave the heads out.")
        }
        try heads.check(against: cache)
        return .heads(heads, on: cache, tolerance: recipe.rule.tolerance)
    }

    /// What the exits say of every sample of every split.
    ///
    /// - Throws: `InputError` when heads and features do not fit.
    public func outputs(of exits: ExitSource) throws(InputError) -> SplitOutputs {
        var outputs: [Split: ExitOutputs] = [:]
        for split in Split.allCases {
            outputs[split] = try exits.outputs(
                rows: splits[split], measure: recipe.rule.confidence, threads: threads)
        }
        return SplitOutputs(outputs)
    }

    /// The experiment with another rule and family of thresholds; numbers that count as the same stay the same.
    ///
    /// - Precondition: the exits' confidence can measure what the rule asks for.
    public func choosing(_ rule: Recipe.RuleChoice, _ search: Recipe.SearchChoice) -> Experiment {
        var other = self
        other.recipe.rule = rule
        other.recipe.rule.tolerance = recipe.rule.tolerance
        other.recipe.search = search
        return other
    }

    /// The experiment of a network that has only some of the exits.
    ///
    /// - Parameter exits: rising, the final layer among them.
    public func choosing(exits: [Int]) -> Experiment {
        var other = self
        other.data = data.selecting(exits: exits)
        other.costs = costs.selecting(exits: exits)
        other.serving = serving?.selecting(exits: exits, checks: servingChecks)
        other.servingChecks = servingChecks.map { checks in exits.map { checks[$0] } }
        other.recipe.rule = recipe.rule.selecting(exits: exits)
        return other
    }

    /// What the recipe leaves open, settled: the rule, and which exits are offered.
    public struct Settled: Sendable {
        /// The experiment with what was picked.
        public let experiment: Experiment
        /// What the exits say that are offered.
        public let exits: ExitSource
        /// What was predicted of all rules; nil where the recipe names its rule.
        public let automatic: AutomaticRule?
        /// Which exits are offered, and why; nil where all are.
        public let selection: ExitSelection?
    }

    /// Picks what the recipe leaves open, on tune alone.
    ///
    /// A rule that was picked with all exits is picked again with those that are left.
    ///
    /// - Parameter exits: what all exits say.
    /// - Throws: `InputError` when heads and features do not fit.
    public func settled(for exits: ExitSource) throws(InputError) -> Settled {
        var own = self
        let first = try own.pickRule(for: exits)
        let offering = try own.offering(exits)
        guard first != nil, offering.selection != nil else {
            return Settled(
                experiment: offering.experiment, exits: offering.exits, automatic: first, selection: offering.selection)
        }
        own = offering.experiment
        let automatic = try own.pickRule(for: offering.exits)
        return Settled(experiment: own, exits: offering.exits, automatic: automatic, selection: offering.selection)
    }

    /// The experiment with those exits that the recipe offers, chosen with the rule that it has.
    ///
    /// - Parameter exits: what all exits say.
    /// - Throws: `InputError` when heads and features do not fit.
    public func offering(_ exits: ExitSource) throws(InputError) -> Settled {
        guard let selection = try exitSelection(for: exits) else {
            return Settled(experiment: self, exits: exits, automatic: nil, selection: nil)
        }
        return Settled(
            experiment: choosing(exits: selection.exits), exits: exits.selecting(exits: selection.exits),
            automatic: nil,
            selection: selection)
    }

    /// Which exits are offered with the recipe's rule; nil where all are.
    private func exitSelection(for exits: ExitSource) throws(InputError) -> ExitSelection? {
        let last = samples.exitCount - 1
        switch recipe.exits {
        case .all: return nil
        case .given(let named):
            return ExitSelection(naming: named.filter { $0 < last } + [last], names: samples.exitNames)
        case .choose:
            return try ExitSelection(
                Calibrator(self),
                tune: exits.outputs(rows: splits[.tune], measure: recipe.rule.confidence, threads: threads),
                names: samples.exitNames, certifySamples: splits.certify.count, threads: threads)
        }
    }

    /// Picks the rule where the recipe leaves that open; from here on the recipe has it.
    ///
    /// - Returns: what was predicted of all rules; nil where the recipe names its rule.
    /// - Throws: `InputError` when heads and features do not fit.
    mutating func pickRule(for exits: ExitSource) throws(InputError) -> AutomaticRule? {
        guard recipe.picksRule else { return nil }
        let classCount = samples.classes.count
        var tune: [ConfidenceMeasure: ExitOutputs] = [:]
        for measure in AutomaticRule.measures(classCount: classCount, known: exits.measures) {
            tune[measure] = try exits.outputs(rows: splits[.tune], measure: measure, threads: threads)
        }
        let automatic = try AutomaticRule(
            Calibrator(self), tune: tune, certifySamples: splits.certify.count, classCount: classCount,
            pool: recipe.picksSearch ? AutomaticRule.Pool() : AutomaticRule.Pool(searches: [recipe.search]),
            threads: threads)
        self = choosing(automatic.rule, automatic.search)
        return automatic
    }
}
