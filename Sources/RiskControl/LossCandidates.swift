import Foundation

/// Paired losses of candidate policies, from which the fastest is certified that loses no more than allowed.
///
/// A loss is any bounded number that tells how bad one output is: of a caption, a translation, an image with its boxes, a
/// predicted value. A difference is the candidate's loss minus the reference's on the same sample. The tune samples put the
/// candidates in order, from the one they are surest of to the cheapest; the certify samples test them in that order,
/// each by ``PairedBettingTest``, and the last that passes is taken. What holds for it is a statement about the mean loss
/// of a sample, whatever its parts are.
public struct LossCandidates: Sendable {
    /// What some samples say of one candidate.
    public struct Evidence: Equatable, Sendable {
        /// [samples]: loss minus the reference's.
        public var differences: [Double]
        /// [samples]: the group of each; nil when all are independent.
        public var groups: [Int]?
        /// The mean cost of a sample.
        public var meanCost: Double

        /// Creates evidence; `groups` is as long as `differences`.
        public init(differences: [Double], groups: [Int]? = nil, meanCost: Double) {
            precondition(groups.map { $0.count == differences.count } ?? true, "a group for each sample")
            self.differences = differences
            self.groups = groups
            self.meanCost = meanCost
        }

        /// The mean difference; 0 without samples.
        public var meanDifference: Double { differences.reduce(0, +) / Double(max(differences.count, 1)) }

        /// The standard error of ``meanDifference``, of groups where there are any; nil for fewer than two units.
        public var standardError: Double? {
            let units = sums(of: meanDifference)
            guard units.count > 1 else { return nil }
            let variance = units.reduce(0) { $0 + $1 * $1 } * Double(units.count) / Double(units.count - 1)
            return variance.squareRoot() / Double(differences.count)
        }

        /// `-sum Y / sqrt(sum Y^2)` with Y the sum over a group of `d - allowedGap`: how many standard errors the candidate is
        /// better than allowed; 0 where it is 0 / 0. For orders, not for certificates.
        public func z(allowedGap: Double) -> Double {
            let units = sums(of: allowedGap)
            let spread = units.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return spread > 0 ? -units.reduce(0, +) / spread : 0
        }

        /// [units]: the sums over groups of the difference less a number.
        private func sums(of center: Double) -> [Double] {
            guard let groups else { return differences.map { $0 - center } }
            return SampleGroups(groups).groups.map { group in group.rows.reduce(0) { $0 + differences[$1] - center } }
        }
    }

    /// [candidates]: what tune says; nil where the order was given.
    public let tune: [Evidence]?
    /// [candidates]: what certify says.
    public let certify: [Evidence]
    /// The cost of a sample without early exit.
    public let fullCost: Double

    /// Collects candidates.
    ///
    /// - Parameters:
    ///   - tune: [candidates]; nil: they are tested in the order given, which must not come from the certify samples.
    ///   - certify: [candidates], the same samples for all.
    ///   - fullCost: positive.
    public init(tune: [Evidence]?, certify: [Evidence], fullCost: Double) {
        precondition(tune.map { $0.count == certify.count } ?? true, "the same candidates on both splits")
        precondition(fullCost > 0, "costs are positive")
        self.tune = tune
        self.certify = certify
        self.fullCost = fullCost
    }

    /// What a test of the candidates showed.
    public struct Outcome: Equatable, Sendable {
        /// All candidates that were put in order.
        public let planned: [Int]
        /// Those that were tested, in order.
        public let tested: [Int]
        /// Those of them that passed, in order.
        public let passed: [Int]
        /// The p-value of the last that passed; 1 when none did.
        public let pValue: Double

        /// The candidate that is certified: the last that passed.
        public var chosen: Int? { passed.last }
    }

    /// Tests the candidates in an order that tune fixed.
    ///
    /// The probability, over the draw of the certify samples, that the chosen candidate's mean difference is above the
    /// allowed gap is at most `level`.
    ///
    /// - Parameters:
    ///   - allowedGap: the largest mean difference that is accepted, in `range` and below its upper end.
    ///   - range: in which every difference lies, whatever the sample.
    ///   - level: in (0, 1).
    ///   - maximumGroupSize: the largest group that can occur, known beforehand; nil when samples are independent.
    ///   - seed: draws the order of the samples.
    ///   - order: how tune orders the candidates.
    /// - Throws: ``RiskControlError`` for a difference outside the range or a group larger than declared.
    /// - Complexity: one betting test, O(samples log samples), for each candidate.
    public func certify(
        allowedGap: Double, range: ClosedRange<Double>, level: Double, maximumGroupSize: Int? = nil, seed: UInt64,
        order: CandidateOrder = .standard
    ) throws(RiskControlError) -> Outcome {
        let test = PairedBettingTest(allowedGap: allowedGap, range: range, seed: seed, level: level)
        let plan = plan(allowedGap: allowedGap, level: level, order: order)
        func pValue(_ candidate: Int) throws(RiskControlError) -> Double {
            let evidence = certify[candidate]
            precondition(
                evidence.groups == nil || maximumGroupSize != nil, "how large groups can be is known beforehand")
            guard let groups = evidence.groups, let maximumGroupSize else {
                return try test.pValue(differences: evidence.differences)
            }
            return try test.pValue(
                differences: evidence.differences, groups: groups, maximumGroupSize: maximumGroupSize)
        }
        var pValues: [Int: Double] = [:]
        // All candidates are checked before any is tested: a walk must not end early because of a wrong table.
        for candidate in plan.candidates { pValues[candidate] = try pValue(candidate) }
        let walk = FallbackProcedure(level: level).walk(along: plan) { pValues[$0]! <= $1 }
        return Outcome(
            planned: plan.candidates, tested: walk.tested, passed: walk.passed,
            pValue: walk.last.flatMap { pValues[$0] } ?? 1)
    }

    /// The order of the tests.
    func plan(allowedGap: Double, level: Double, order: CandidateOrder) -> CandidatePlan {
        guard let tune else { return CandidatePlan(candidates: Array(certify.indices)) }
        // Orders take a path from dear to cheap; of equal costs the surer one comes first.
        let z = tune.map { $0.z(allowedGap: allowedGap) }
        let path = tune.indices.sorted { first, second in
            let (own, other) = (tune[first].meanCost, tune[second].meanCost)
            if own != other { return own > other }
            return z[first] != z[second] ? z[first] > z[second] : first < second
        }
        let samples = (tune.first?.differences.count ?? 0, certify.first?.differences.count ?? 0)
        return order.plan(
            CandidateOrder.Evidence(
                z: path.map { z[$0] }, costs: path.map { tune[$0].meanCost }, fullCost: fullCost,
                sampleRatio: Double(samples.1) / Double(max(samples.0, 1)), level: level)
        ).naming { path[$0] }
    }
}
