import ExitPolicy
import Foundation

/// What a study found, method by method: what `beem study --json` prints.
public struct StudyResult: Codable, Equatable, Sendable {
    /// One method over all draws.
    public struct Row: Codable, Equatable, Sendable {
        /// The method.
        public var method: String
        /// Whether it claims a guarantee.
        public var isCertifying: Bool
        /// The mean test speed-up; where nothing was certified it is 1.
        public var meanSpeedUp: Double
        /// Its standard deviation over draws; 0 for one draw.
        public var speedUpDeviation: Double
        /// The 10th, 50th and 90th percentile of the test speed-up.
        public var speedUpQuantiles: [Double]
        /// The mean risk gap on test.
        public var meanTestGap: Double
        /// The share of draws in which nothing was certified.
        public var uncertified: Double
        /// The share of draws in which something was certified that is worse than allowed; nil where the truth is not
        /// known.
        public var errorRate: Double?
    }

    /// The recipe's name.
    public var recipe: String
    /// How samples were drawn.
    public var draws: StudyDraws.Source
    /// Which labels tune and certify had.
    public var labels: StudyDraws.Labels
    /// How many draws.
    public var repeats: Int
    /// How many samples they were drawn from.
    public var samples: Int
    /// The seed of the first draw.
    public var seed: UInt64
    /// The gap that was certified.
    public var allowedGap: Double
    /// The level of the certificates.
    public var level: Double
    /// The largest error rate that so many draws of a valid procedure would show: the level plus three standard errors.
    public var largestErrorRate: Double
    /// The methods.
    public var methods: [Row]

    init(_ study: Study, trials: [[Study.Trial]]) {
        recipe = study.name
        draws = study.draws.source
        labels = study.draws.labels
        repeats = study.repeats
        samples = study.poolSize
        seed = study.draws.seed
        allowedGap = study.allowedGap
        level = study.level
        largestErrorRate = level + 3 * (level * (1 - level) / Double(repeats)).squareRoot()
        let knowsTruth = study.draws.source == .bootstrap || study.draws.labels == .random
        methods = zip(study.methods, trials).map { method, trials in
            let count = Double(trials.count)
            let speedUps = trials.map(\.speedUp).sorted()
            let mean = speedUps.reduce(0, +) / count
            let squares = speedUps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            return Row(
                method: method.name, isCertifying: method.isCertifying, meanSpeedUp: mean,
                speedUpDeviation: trials.count > 1 ? (squares / (count - 1)).squareRoot() : 0,
                speedUpQuantiles: [0.1, 0.5, 0.9].map { speedUps[Int(($0 * (count - 1)).rounded())] },
                meanTestGap: trials.reduce(0) { $0 + $1.testGap } / count,
                uncertified: Double(trials.count { !$0.isCertified }) / count,
                errorRate: knowsTruth && method.isCertifying
                    ? Double(trials.count { study.isError($0) }) / count : nil)
        }
    }
}
