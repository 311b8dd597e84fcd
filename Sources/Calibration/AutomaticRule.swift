import ExitRules
import LinearAlgebra
import Safetensors

/// Picks memory, confidence measure and family of thresholds by the speed-up that is predicted to be certified.
///
/// The prediction is cross-fitted on tune (``TradeOff``), so certify plays no part, and the certificate holds for
/// whatever is picked. Neighbours in memory and slope are nearly the same policies, so the predictions are averaged over
/// them: what differs between them is mostly luck, and the largest of many predictions flatters.
public struct AutomaticRule: Sendable {
    /// One rule with one family of thresholds, and what is predicted of it.
    public struct Candidate: Equatable, Sendable {
        /// The rule.
        public let rule: Recipe.RuleChoice
        /// The family.
        public let search: Recipe.SearchChoice
        /// What is predicted for the recipe's allowed gap.
        public let prediction: TradeOff.Line
        /// The predicted speed-up, averaged over the neighbours: what candidates are ranked by.
        public let smoothedSpeedUp: Double
    }

    /// What is tried: every measure of confidence with every memory and every search.
    public struct Pool: Equatable, Sendable {
        /// The weights of the exits.
        public var weights: ExitWeights
        /// The memories, rising.
        public var memories: [Double]
        /// The searches; neighbours are alike.
        public var searches: [Recipe.SearchChoice]
        /// What a neighbour in memory or search counts, the candidate itself counting 1.
        public var neighbourWeight: Double

        /// Creates a pool.
        public init(
            weights: ExitWeights = .accuracy, memories: [Double] = [0, 0.1, 0.2, 0.3, 0.5, 0.7, 1],
            searches: [Recipe.SearchChoice] = DepthCurve.slopes.map {
                $0 == 0 ? .single : .curve(DepthCurve(slope: $0))
            }, neighbourWeight: Double = 0.5
        ) {
            self.weights = weights
            self.memories = memories
            self.searches = searches
            self.neighbourWeight = neighbourWeight
        }
    }

    /// All candidates, the best first.
    public let candidates: [Candidate]

    /// The rule that is picked.
    public var rule: Recipe.RuleChoice { candidates[0].rule }

    /// The family of thresholds that is picked.
    public var search: Recipe.SearchChoice { candidates[0].search }

    /// The measures of confidence that are tried.
    ///
    /// - Parameters:
    ///   - classCount: with two classes all measures order samples alike, and one is enough.
    ///   - known: what the exits' confidence can measure.
    static func measures(classCount: Int, known: Set<ConfidenceMeasure>) -> [ConfidenceMeasure] {
        let measures: [ConfidenceMeasure] = classCount > 2 ? [.maxProbability, .margin] : [.maxProbability]
        return measures.filter(known.contains)
    }

    /// Predicts and picks; of equals the first wins.
    ///
    /// - Parameters:
    ///   - tune: what all exits say of tune, by what confidence measures.
    ///   - threads: results do not depend on it.
    /// - Throws: `InputError` when a search's grid has too many policies.
    /// - Complexity: five searches for each candidate.
    init(
        _ calibrator: Calibrator, tune: [ConfidenceMeasure: ExitOutputs], certifySamples: Int, classCount: Int,
        pool: Pool = Pool(), threads: Int = 1
    ) throws(InputError) {
        let measures = Self.measures(classCount: classCount, known: Set(tune.keys))
        let columns = pool.searches.count
        let count = measures.count * pool.memories.count * columns
        // Measure by measure, memory by memory, search by search.
        let predictions = Parallel.map(count, threads: threads) { index -> Result<Prediction, InputError> in
            Result { () throws(InputError) in
                var own = calibrator
                own.recipe.rule = Recipe.RuleChoice(
                    weights: pool.weights, memory: pool.memories[index / columns % pool.memories.count],
                    confidence: measures[index / columns / pool.memories.count])
                own.recipe.search = pool.searches[index % columns]
                return (
                    own.recipe.rule, own.recipe.search,
                    try own.prediction(tune: tune[own.recipe.rule.confidence]!, certifySamples: certifySamples)
                )
            }
        }
        var grid: [Prediction] = []
        for prediction in predictions { grid.append(try prediction.get()) }
        let candidates = grid.indices.map { index in
            Candidate(
                rule: grid[index].rule, search: grid[index].search, prediction: grid[index].line,
                smoothedSpeedUp: Self.average(
                    at: index, of: grid.map(\.line.speedUp), rows: pool.memories.count, columns: columns,
                    neighbourWeight: pool.neighbourWeight))
        }
        // A stable sort: the first of equals stays first.
        self.candidates = candidates.enumerated().sorted { first, second in
            let (own, other) = (first.element.smoothedSpeedUp, second.element.smoothedSpeedUp)
            return own != other ? own > other : first.offset < second.offset
        }.map(\.element)
    }

    private typealias Prediction = (rule: Recipe.RuleChoice, search: Recipe.SearchChoice, line: TradeOff.Line)

    /// The mean of a value and its neighbours in the row and the column of its block.
    static func average(
        at index: Int, of values: [Double], rows: Int, columns: Int, neighbourWeight: Double
    ) -> Double {
        let (row, column) = (index / columns % rows, index % columns)
        var (sum, weight) = (values[index], 1.0)
        for (isInside, step) in [
            (row > 0, -columns), (row < rows - 1, columns), (column > 0, -1), (column < columns - 1, 1),
        ] where isInside {
            sum += neighbourWeight * values[index + step]
            weight += neighbourWeight
        }
        return sum / weight
    }
}
