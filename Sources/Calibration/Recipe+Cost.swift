import FeatureCache
import Foundation
import Safetensors
import ThresholdOptimizer

extension Recipe {
    /// The shape of a Transformer encoder, as ``EncoderCost`` takes it.
    public struct FlopsChoice: Equatable, Sendable {
        /// The width of the hidden states.
        public var width: Int
        /// The width of the feed-forward layer.
        public var feedForward: Int
        /// The number of tokens of a sample.
        public var tokens: Double
        /// The hidden width of the heads; nil for linear ones.
        public var headWidth: Int?
        /// The layer, from 1, after which each exit sits; nil: one after each.
        public var layers: [Int]?

        /// Creates a shape.
        public init(width: Int, feedForward: Int, tokens: Double, headWidth: Int? = nil, layers: [Int]? = nil) {
            self.width = width
            self.feedForward = feedForward
            self.tokens = tokens
            self.headWidth = headWidth
            self.layers = layers
        }
    }

    /// Where measured times are, in any unit.
    public struct TimingsChoice: Equatable, Sendable {
        /// What many measurements become.
        public enum Statistic: String, CaseIterable, Sendable {
            case median
            case mean
        }

        /// A table of times; nil: the table of the exit outputs, of which the tune split's rows count.
        public var file: String?
        /// The column of the times: a pattern with `{exit}`, or, in a table with a row for each exit, its name.
        public var column: String
        /// The column with the exit's number, in a table with a row for each exit; nil: the outputs' own in their table,
        /// `exit` in another.
        public var exit: String?
        /// The column of what the check of each exit takes of its time, named as ``column`` is; nil: that was not measured.
        public var check: String?
        /// What many measurements become.
        public var statistic: Statistic
        /// Whether a time is that from the exit before to this one; from the start otherwise.
        public var areIncrements: Bool

        /// Creates a choice.
        public init(
            file: String? = nil, column: String, exit: String? = nil, check: String? = nil,
            statistic: Statistic = .median, areIncrements: Bool = false
        ) {
            self.file = file
            self.column = column
            self.exit = exit
            self.check = check
            self.statistic = statistic
            self.areIncrements = areIncrements
        }
    }
}

extension Recipe {
    /// A table of how long batches take at every stage of the network, and the size that they are regrouped to.
    public struct BatchesChoice: Equatable, Sendable {
        /// CSV or TSV with the columns `batch`, `milliseconds` and, where stages differ, `exit`.
        public var file: String
        /// How many samples run together.
        public var size: Int

        /// Creates a choice.
        public init(file: String, size: Int) {
            self.file = file
            self.size = size
        }
    }
}

extension Recipe {
    /// What the checks of exits cost, with costs that do not tell it themselves.
    public enum CheckChoice: Equatable, Sendable {
        /// The same at every exit.
        case each(Double)
        /// [exits]
        case list([Double])

        /// [exits], in the unit of the costs.
        func values(exitCount: Int) -> [Double] {
            switch self {
            case .each(let cost): Array(repeating: cost, count: exitCount)
            case .list(let costs): costs
            }
        }
    }

    fileprivate static func text(_ cost: Double) -> String { String(format: "%.4g", cost) }
}

extension Recipe.CostChoice {
    /// What coming to each exit costs.
    ///
    /// - Throws: `InputError` when there is not one cost for each exit, they do not increase, or a check is not part of
    ///   what its exit adds.
    /// - Complexity: O(1), but for timings O(bytes of their table).
    func costs(
        recipe: Recipe, samples: LabelledSamples, splits: Splits
    ) throws(InputError) -> ExitCosts {
        let count = samples.exitCount
        func requireCount(_ costs: [Double], _ name: String, item: String, file: String) throws(InputError) {
            guard costs.count == count else {
                throw InputError(
                    .mismatch, file: file, item: item, seen: "\(costs.count) \(name)",
                    expected: "one for each of the \(count) exits in \(samples.path)")
            }
        }
        func checked(
            _ costs: [Double], checks: [Double]? = nil, item: String, file: String
        ) throws(InputError) -> ExitCosts {
            try requireCount(costs, "costs", item: item, file: file)
            guard costs[0] > 0, zip(costs, costs.dropFirst()).allSatisfy(<) else {
                throw InputError(
                    .outOfRange, file: file, item: item,
                    seen: "the costs \(costs.map(Recipe.text).joined(separator: ", "))",
                    expected: "positive and strictly increasing ones",
                    advice:
                        "A cost counts everything up to and including its exit; measure more often, or write a list.")
            }
            guard let checks else { return ExitCosts(cumulative: costs) }
            try requireCount(checks, "checks", item: item, file: file)
            if let exit = ExitCosts.misfit(of: checks, in: costs) {
                throw InputError(
                    .outOfRange, file: file, item: item,
                    seen: "a check of \(Recipe.text(checks[exit])) at exit \(exit), which adds "
                        + Recipe.text(costs[exit] - (exit == 0 ? 0 : costs[exit - 1])),
                    expected: "part of what the exit adds: not negative, and less",
                    advice: "The cost of an exit contains its check: pooling, head and decision.")
            }
            return ExitCosts(cumulative: costs, checks: checks)
        }
        let given = recipe.check?.values(exitCount: count)
        switch self {
        case .layers:
            // A check comes on top of the layer.
            let checks = given ?? Array(repeating: 0, count: count)
            try requireCount(checks, "checks", item: "cost.layers.check", file: recipe.file)
            var sum = 0.0
            let costs = checks.enumerated().map { exit, check in
                sum += check
                return Double(exit + 1) + sum
            }
            return try checked(costs, checks: given, item: "cost.layers.check", file: recipe.file)
        case .list(let costs):
            return try checked(
                costs, checks: given, item: recipe.check == nil ? "cost" : "cost.list", file: recipe.file)
        case .flops(let shape):
            let cost = EncoderCost(
                width: shape.width, feedForward: shape.feedForward, tokens: shape.tokens,
                classes: samples.classes.count,
                headWidth: shape.headWidth, layers: shape.layers ?? Array(1...count))
            return try checked(
                cost.cumulative, checks: cost.layers.map { _ in cost.ofHead }, item: "cost.flops", file: recipe.file)
        case .batches(let choice):
            let (serving, checks) = try choice.serving(exitCount: count)
            func each(_ curve: BatchCostCurve) -> Double { curve.cost(ofBatch: choice.size) / Double(choice.size) }
            var sum = 0.0
            let costs = serving.stages.map { stage in
                sum += each(stage)
                return sum
            }
            return try checked(costs, checks: checks?.map(each), item: "cost.batches", file: choice.file)
        case .timings(let choice):
            let (costs, checks) = try choice.costs(recipe: recipe, splits: splits)
            return try checked(
                costs, checks: checks, item: "cost.timings", file: choice.file ?? samples.path)
        }
    }
}

extension Recipe.TimingsChoice {
    /// [exits]: from the start to each exit, and what the checks take of that where the table tells.
    fileprivate func costs(
        recipe: Recipe, splits: Splits
    ) throws(InputError) -> (costs: [Double], checks: [Double]?) {
        let table: DelimitedTable
        var columns = OutputColumns()
        var rows: [Int]?
        if case .outputs(let choice) = recipe.data, choice.isTable, file == nil || file == choice.file {
            guard column.contains(OutputColumns.placeholder) == choice.columns.isWide else {
                throw InputError(
                    .mismatch, file: recipe.file, item: "cost.timings.column", seen: "\"\(column)\"",
                    expected: choice.columns.isWide
                        ? "a pattern with \(OutputColumns.placeholder), as `label` is"
                        : "one column for all exits, as `label` is")
            }
            table = try DelimitedTable(reading: choice.file)
            columns = choice.columns
            // What certify says may not move a candidate's place in the order, not even by its cost.
            rows = splits.tune
        } else if let file {
            table = try DelimitedTable(reading: file)
        } else {
            throw InputError(
                .missing, file: recipe.file, item: "cost.timings.file", seen: "no such key",
                expected: "a table of times, since the data are no table")
        }
        columns.exit = exit ?? columns.exit
        func typical(_ column: String) throws(InputError) -> [Double] {
            try table.measurements(column, columns: columns, samples: rows).map {
                statistic == .median ? median($0) : $0.reduce(0, +) / Double($0.count)
            }
        }
        let costs = try typical(column)
        let checks = try check.map(typical)
        guard areIncrements else { return (costs, checks) }
        var sum = 0.0
        return (
            costs.map { cost in
                sum += cost
                return sum
            }, checks
        )
    }

    private func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
