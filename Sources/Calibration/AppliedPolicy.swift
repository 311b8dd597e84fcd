import ExitHeads
import ExitPolicy
import ExitRules
import FeatureCache
import Foundation
import LinearAlgebra
import Safetensors

/// A policy together with what its exits say of samples: its heads on a feature cache, or recorded outputs. The parts are
/// checked to belong together.
public struct AppliedPolicy: Sendable {
    /// The policy.
    public let policy: Policy
    /// The policy's file, for messages.
    public let policyFile: String
    /// What the exits say.
    public let exits: ExitSource
    /// The SHA-256 of the features, or of the recorded outputs.
    public let dataHash: String

    /// Opens a policy and what it is applied to: a feature cache for a policy with heads, exit outputs for one without.
    ///
    /// - Parameters:
    ///   - policyFile: the policy.
    ///   - data: the cache, or the outputs.
    ///   - headsFile: the heads, when they are not where the policy says.
    ///   - columns: which columns hold what, for outputs in a table.
    /// - Throws: `InputError` when a file is not what it should be, when the heads are not those of the policy (by
    ///   their hash), or when policy and data have other exits or classes.
    public init(
        policyFile: String, data: String, headsFile: String? = nil, columns: OutputColumns = OutputColumns()
    ) throws(InputError) {
        self.policyFile = policyFile
        policy = try Policy(reading: policyFile)
        if let reference = policy.heads {
            let folder = URL(fileURLWithPath: policyFile).deletingLastPathComponent()
            let path = headsFile ?? folder.appendingPathComponent(reference.file).relativePath
            let hash = try sha256(ofFile: path)
            guard hash == reference.sha256 else {
                throw InputError(
                    .mismatch, file: path, seen: "SHA-256 \(hash)",
                    expected: "\(reference.sha256), the heads that \(policyFile) was calibrated with",
                    advice: "The certificate holds for those heads alone: restore them, or calibrate again.")
            }
            guard try Self.holds(["features"], data) else {
                throw InputError(
                    .mismatch, file: data, seen: "no features, but what exits said",
                    expected: "a feature cache for the heads of \(policyFile)",
                    advice: "The policy decides with its own heads; outputs go with a policy calibrated from outputs.")
            }
            let cache = try FeatureCache(opening: data)
            guard (policy.rule.tolerance != nil) == (cache.targets != nil) else {
                let isForNumbers = policy.rule.tolerance != nil
                throw InputError(
                    .mismatch, file: data, seen: isForNumbers ? "labels" : "numbers to predict",
                    expected: isForNumbers ? "the tensor 'targets'" : "labels",
                    advice: "\(policyFile) is for \(isForNumbers ? "numbers" : "classes").")
            }
            let offered = try Self.offered(policy, policyFile: policyFile, of: cache.samples)
            exits = .heads(
                try HeadSet(reading: path), on: offered.map { cache.selecting(exits: $0) } ?? cache,
                tolerance: policy.rule.tolerance)
            dataHash = cache.sha256()
        } else {
            if headsFile != nil {
                throw InputError(
                    .unsupported, file: policyFile, item: "heads", seen: "a policy without heads",
                    expected: "exit outputs to apply it to, and no heads")
            }
            let choice = Recipe.OutputsChoice(file: data, columns: columns, classes: policy.classes)
            if !choice.isTable, try Self.holds(["features"], data), try !Self.holds(["label", "logits"], data) {
                throw InputError(
                    .mismatch, file: data, seen: "features, and nothing that exits said",
                    expected: "exit outputs, since \(policyFile) has no heads",
                    advice: "Record what the exits say of these samples, or calibrate a policy with heads.")
            }
            let outputs = try choice.open()
            if policy.rule.kind.usesConfidence { try outputs.require(policy.rule.confidence) }
            let offered = try Self.offered(policy, policyFile: policyFile, of: outputs.samples)
            exits = .recorded(offered.map { outputs.selecting(exits: $0) } ?? outputs)
            dataHash = outputs.sha256
        }
        let samples = exits.samples
        guard policy.classes == samples.classes else {
            throw InputError(
                .mismatch, file: policyFile, item: "classes", seen: policy.classes.joined(separator: ", "),
                expected: "\(samples.classes.joined(separator: ", ")), as in \(data)",
                advice: "Policy and data belong to different tasks.")
        }
        if case .heads(let heads, let cache, _) = exits { try heads.check(against: cache) }
    }

    /// Which exits of the data the policy offers, where it does not offer all: they are found by their names.
    ///
    /// - Throws: `InputError` when the data do not have the policy's exits.
    private static func offered(
        _ policy: Policy, policyFile: String, of samples: LabelledSamples
    ) throws(InputError) -> [Int]? {
        if policy.exits.count == samples.exitCount { return nil }
        let places = policy.exits.compactMap { samples.exitNames.firstIndex(of: $0.name) }
        guard places.count == policy.exits.count, zip(places, places.dropFirst()).allSatisfy(<),
            places.last == samples.exitCount - 1
        else {
            throw InputError(
                .mismatch, file: policyFile, item: "exits",
                seen: "\(policy.exits.count) exits, \(policy.exits.map(\.name).joined(separator: ", "))",
                expected:
                    "the \(samples.exitCount) of \(samples.path), \(samples.exitNames.joined(separator: ", ")), or "
                    + "some of them and the last",
                advice: "Policy and data belong to different networks.")
        }
        return places
    }

    /// Whether a file is safetensors with a tensor for an exit under one of some names.
    private static func holds(_ names: [String], _ file: String) throws(InputError) -> Bool {
        if Recipe.OutputsChoice(file: file).isTable { return false }
        let tensors = try SafetensorsStore(opening: file).tensors
        return names.contains { name in tensors.contains { $0.name.hasPrefix("\(name).") } }
    }

    /// Truth, classes, exits, splits and groups of the samples.
    public var samples: LabelledSamples { exits.samples }

    /// The rows of a split: of the one stored in the cache, or, for the cache the policy was calibrated on, of the one
    /// drawn then.
    ///
    /// - Parameter split: nil for all rows.
    /// - Throws: `InputError` when the cache says nothing about that split.
    public func rows(of split: Split?) throws(InputError) -> [Int] {
        guard let split else { return Array(0..<samples.sampleCount) }
        if let fractions = policy.provenance.splits, isCalibrationData {
            return try SplitPlan(fractions).draw(from: samples.splitSubject, seed: policy.provenance.seed)[split]
        }
        let stored = samples.storedSplit ?? []
        let rows = stored.indices.filter { stored[$0] == split.rawValue }
        guard !rows.isEmpty else {
            throw InputError(
                .missing, file: samples.path, item: "split", seen: "no sample of the \(split) split",
                expected: "a stored split, or the file that the policy was calibrated on",
                advice: "Leave out --split to use all samples, or store splits with `beem features split`.")
        }
        return rows
    }

    /// What all exits say of some rows.
    ///
    /// - Complexity: O(rows * widths * classes).
    public func outputs(rows: [Int], threads: Int = Parallel.availableThreads) throws(InputError) -> ExitOutputs {
        try exits.outputs(
            rows: rows, measure: policy.rule.confidence, temperatures: policy.exits.map(\.temperature),
            threads: threads)
    }

    /// Whether these are the features, or outputs, that the policy was calibrated on.
    public var isCalibrationData: Bool { dataHash == policy.provenance.features.sha256 }

    /// Refuses rows that heads were trained or thresholds chosen on: nothing can be shown with them.
    ///
    /// - Parameter split: what the caller asked for; nil for all rows.
    /// - Throws: `InputError` that says which splits may be used.
    public func requireUnseen(_ split: Split?) throws(InputError) {
        guard isCalibrationData, split != .certify, split != .test else { return }
        throw InputError(
            .unsupported, file: samples.path, item: "split", seen: split.map { "the \($0) split" } ?? "all samples",
            expected: "samples that played no part in making the policy, which was calibrated on this file",
            advice: "Use new samples, or --split test.")
    }

    /// The largest group of samples that can occur; 1 when all are independent.
    ///
    /// - Parameters:
    ///   - rows: the samples at hand.
    ///   - declared: what the caller knows; the largest group among the rows otherwise.
    /// - Throws: `InputError` when a group among the rows is larger than declared.
    public func maximumGroupSize(rows: [Int], declared: Int?) throws(InputError) -> Int {
        if let declared {
            try samples.requireGroups(of: rows, atMost: declared, declaredBy: "what was declared")
            return declared
        }
        return samples.largestGroup(in: rows)?.size ?? 1
    }

    /// Where samples leave, decided exit by exit as serving code does.
    ///
    /// - Complexity: O(samples * exits).
    public func decisions(_ outputs: ExitOutputs) -> [ExitDecision] {
        (0..<outputs.sampleCount).map { sample in
            var session = ExitSession(policy)
            for exit in 0..<outputs.exitCount {
                let step =
                    outputs.numbers.map { session.observe(number: $0.values[exit][sample]) }
                    ?? session.observe(outputs.prediction(exit: exit, sample: sample))
                if case .stop(let decision) = step { return decision }
            }
            preconditionFailure("every sample leaves at the last exit")
        }
    }
}

extension SplitPlan {
    /// The plan that a policy's provenance describes.
    init(_ fractions: Policy.Provenance.SplitFractions) {
        if let train = fractions.train {
            self = .fractions(
                train: train, tune: fractions.tune, certify: fractions.certify, test: fractions.test)
        } else {
            self = .storedTrain(tune: fractions.tune, certify: fractions.certify, test: fractions.test)
        }
    }

    /// What a policy's provenance says of the plan; nil when all splits are stored in the cache.
    var fractions: Policy.Provenance.SplitFractions? {
        switch self {
        case .stored: nil
        case .storedTrain(let tune, let certify, let test):
            .init(train: nil, tune: tune, certify: certify, test: test)
        case .fractions(let train, let tune, let certify, let test):
            .init(train: train, tune: tune, certify: certify, test: test)
        }
    }
}
