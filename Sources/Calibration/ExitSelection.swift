import ExitRules
import LinearAlgebra
import Safetensors

/// Which exits pay for their checks.
///
/// Every exit that is offered is checked by every sample that comes there, so one that lets few go costs more than it
/// saves, and thresholds alone cannot repair that. Exits are switched off and on one at a time, as long as the speed-up
/// rises that is predicted to be certified: cross-fitted on tune (``TradeOff``), so certify plays no part, and the
/// certificate holds for whatever is chosen. What remains is as good as the network with those exits only.
///
/// Two searches, one from all exits and one from the best single one, and the better end counts. That is no proof of an
/// optimum: there are 2^(L - 1) choices.
public struct ExitSelection: Equatable, Sendable {
    /// The exits that are offered, rising; the final layer is the last.
    public let exits: [Int]
    /// [all exits]: their names.
    public let names: [String]
    /// The speed-up that is predicted to be certified with them; nil where the recipe named them.
    public let predictedSpeedUp: Double?
    /// The speed-up that is predicted with all exits; nil where the recipe named them.
    public let predictedOfAll: Double?

    /// The names of the exits that are switched off.
    public var switchedOff: [String] { names.indices.filter { !exits.contains($0) }.map { names[$0] } }

    /// What a recipe names.
    init(naming exits: [Int], names: [String]) {
        self.exits = exits
        self.names = names
        predictedSpeedUp = nil
        predictedOfAll = nil
    }

    /// Chooses.
    ///
    /// Thresholds of their own for each exit take long to search, and choose exits no better: with them the choice is made
    /// as for one shared threshold.
    ///
    /// - Parameters:
    ///   - calibrator: that of all exits, with what their checks cost.
    ///   - tune: what all exits say of tune.
    ///   - threads: results do not depend on it.
    /// - Throws: `InputError` when a search cannot be made.
    /// - Complexity: O(L^2) predictions for L exits, five searches each.
    init(
        _ calibrator: Calibrator, tune: ExitOutputs, names: [String], certifySamples: Int, threads: Int
    ) throws(InputError) {
        let last = names.count - 1
        var search = Search(calibrator: calibrator, tune: tune, certifySamples: certifySamples, threads: threads)
        try search.predict([Array(0...last)] + (0..<last).map { [$0, last] })
        let fromAll = try search.climb(from: Array(0...last))
        var best = fromAll
        if let single = (0..<last).map({ [$0, last] }).max(by: { search[$0] < search[$1] }) {
            let fromOne = try search.climb(from: single)
            if search[fromOne] > search[fromAll] { best = fromOne }
        }
        exits = best
        self.names = names
        predictedSpeedUp = search[best]
        predictedOfAll = search[Array(0...last)]
    }

    /// What a choice is ranked by.
    static func score(_ calibrator: Calibrator, tune: ExitOutputs, certifySamples: Int) throws(InputError) -> Double {
        var own = calibrator
        switch own.recipe.search {
        case .single, .curve: break
        case .shrunk, .perExitCoordinate, .perExitGrid: own.recipe.search = .single
        }
        return try own.prediction(tune: tune, certifySamples: certifySamples).speedUp
    }

    /// Predictions made so far, and steps from choice to choice.
    private struct Search {
        let calibrator: Calibrator
        let tune: ExitOutputs
        let certifySamples: Int
        let threads: Int
        var predictions: [[Int]: Double] = [:]

        /// The predicted speed-up of a choice that was predicted before.
        subscript(exits: [Int]) -> Double { predictions[exits]! }

        mutating func predict(_ choices: [[Int]]) throws(InputError) {
            let new = choices.filter { predictions[$0] == nil }
            let (calibrator, tune, certifySamples) = (calibrator, tune, certifySamples)
            let speedUps = Parallel.map(new.count, threads: threads) { index -> Result<Double, InputError> in
                Result { () throws(InputError) in
                    try ExitSelection.score(
                        calibrator.selecting(exits: new[index]), tune: tune.selecting(exits: new[index]),
                        certifySamples: certifySamples)
                }
            }
            for (exits, speedUp) in zip(new, speedUps) { predictions[exits] = try speedUp.get() }
        }

        /// Switches one exit off or on while that helps, the one that helps most first; of equals fewer exits.
        mutating func climb(from start: [Int]) throws(InputError) -> [Int] {
            let last = start[start.count - 1]
            var best = start
            while true {
                let smaller = best.count > 2 ? best.dropLast().map { exit in best.filter { $0 != exit } } : []
                let larger = (0..<last).filter { !best.contains($0) }.map { (best + [$0]).sorted() }
                let choices = smaller + larger
                try predict(choices)
                guard let next = choices.max(by: { self[$0] < self[$1] }), self[next] > self[best] else { return best }
                best = next
            }
        }
    }
}

extension Calibrator {
    /// The calibrator of a network that has only some of the exits.
    func selecting(exits: [Int]) -> Calibrator {
        var own = self
        own.costs = costs.selecting(exits: exits)
        own.recipe.rule = recipe.rule.selecting(exits: exits)
        return own
    }
}

extension Recipe.RuleChoice {
    /// The rule where only some exits are offered: weights that were given by hand go with their exits.
    func selecting(exits: [Int]) -> Recipe.RuleChoice {
        guard case .given(let weights) = weights else { return self }
        var own = self
        own.weights = .given(exits.map { weights[$0] })
        return own
    }
}
