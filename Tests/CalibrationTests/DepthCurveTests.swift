import ExitRules
import RiskControl
import Statistics
import Testing
import ThresholdOptimizer

@testable import Calibration

/// Random tables with ties within and across exits: scores are multiples of 1/4.
struct SmallTables {
    var generator: SplitMix64

    init(seed: UInt64) { generator = SplitMix64(seed: seed) }

    /// - Parameter exits: how many there may be, the last included.
    mutating func next(exits: [Int] = [2, 3, 4, 5, 6], samples: ClosedRange<Int> = 1...25) -> ScoreTable {
        let count = exits.randomElement(using: &generator)!
        let samples = Int.random(in: samples, using: &generator)
        let levels = Int.random(in: 0...8, using: &generator)
        let scores = (1..<count).map { _ in
            (0..<samples).map { _ in Double(Int.random(in: 0...levels, using: &generator)) / 4 }
        }
        let isCorrect = (0..<count).map { _ in
            (0..<samples).map { _ in Int.random(in: 0..<10, using: &generator) < 7 }
        }
        var cost = 0.0
        let costs = (0..<count).map { _ in
            cost += Double(Int.random(in: 1...8, using: &generator)) / 4
            return cost
        }
        return ScoreTable(scores: scores, isCorrect: isCorrect, costs: costs)
    }
}

@Suite("Thresholds along a curve over depth")
struct DepthCurveTests {
    // MARK: Offsets

    /// Scores of 4 early exits, half of them 0 and half 2: their standard deviation is 1.
    private let unitSpread = ScoreTable(
        scores: [[0, 2], [2, 0], [2, 0], [0, 2]], isCorrect: Array(repeating: [true, true], count: 5),
        costs: [1, 2, 3, 4, 5])

    @Test("are moved by slope times depth plus bend times its square, in standard deviations of all scores")
    func offsets() {
        let line = DepthCurve(slope: 3).offsets(on: unitSpread)
        let expected = [-1.5, -0.5, 0.5, 1.5]
        #expect(zip(line, expected).allSatisfy { abs($0 - $1) < 1e-15 })
        // t^2 - 1/12 is 1/6 at the ends and 1/36 - 1/12 = -1/18 between.
        let bent = DepthCurve(slope: 0, bend: 18).offsets(on: unitSpread)
        #expect(zip(bent, [3.0, -1, -1, 3]).allSatisfy { abs($0 - $1) < 1e-14 })
        let both = DepthCurve(slope: 3, bend: 18).offsets(on: unitSpread)
        #expect(zip(both, [1.5, -1.5, -0.5, 4.5]).allSatisfy { abs($0 - $1) < 1e-14 })
        var wider = unitSpread
        wider.scores = wider.scores.map { $0.map { 4 * $0 + 7 } }
        let scaled = DepthCurve(slope: 3, bend: 18).offsets(on: wider)
        #expect(zip(scaled, both).allSatisfy { abs($0 - 4 * $1) < 1e-13 })
    }

    @Test("are not moved where there is one early exit, one score, or no slope")
    func noOffsets() {
        let one = ScoreTable(scores: [[0.25, 1]], isCorrect: [[true, true], [true, false]], costs: [1, 2])
        #expect(DepthCurve(slope: 2).offsets(on: one) == [0])
        let flat = ScoreTable(
            scores: [[0.5, 0.5], [0.5, 0.5]], isCorrect: Array(repeating: [true, true], count: 3), costs: [1, 2, 3])
        #expect(DepthCurve(slope: 2, bend: 1).offsets(on: flat) == [0, 0])
        #expect(DepthCurve(slope: 0).offsets(on: unitSpread) == [0, 0, 0, 0])
        #expect(DepthCurve(slope: 0).bend == 0 && DepthCurve.slopes.contains(0))
    }

    // MARK: Candidates

    /// What a set of candidates does: the exits taken, from safe to fast, and under the tuned thresholds.
    private struct Effect: Equatable {
        var candidates: [[Int]]
        var tuned: [Int]

        init(_ set: CandidateSet, on table: ScoreTable) {
            candidates = (0..<set.path.count).map { table.exitsTaken(set.path.thresholds(of: $0)) }
            tuned = table.exitsTaken(set.tuned)
        }
    }

    private func recipe(_ search: Recipe.SearchChoice, allowedGap: Double) throws -> Recipe {
        var recipe = try Recipe(parsing: RecipeTests.minimal, file: "recipe.yaml")
        recipe.search = search
        recipe.guarantee.allowedGap = allowedGap
        return recipe
    }

    private func effect(
        _ search: Recipe.SearchChoice, on table: ScoreTable, allowedGap: Double
    ) throws -> Effect {
        Effect(try CandidateSet.search(table, recipe: recipe(search, allowedGap: allowedGap)), on: table)
    }

    @Test("without slope and bend are one shared threshold")
    func slopeZero() throws {
        var tables = SmallTables(seed: 1)
        for round in 0..<300 {
            let table = tables.next()
            let gap = Double(round % 3) / 20
            let single = try effect(.single, on: table, allowedGap: gap)
            #expect(try effect(.curve(DepthCurve(slope: 0)), on: table, allowedGap: gap) == single)
        }
    }

    @Test("are exactly the policies that trying every shift finds, and the tuned one is the fastest that is allowed")
    func bruteForce() throws {
        var tables = SmallTables(seed: 2)
        for round in 0..<300 {
            let table = tables.next()
            // No slope that makes scores of two exits nearly equal.
            let curve = DepthCurve(
                slope: Double.random(in: -3...3, using: &tables.generator),
                bend: Bool.random(using: &tables.generator) ? 0 : Double.random(in: -4...4, using: &tables.generator))
            let offsets = curve.offsets(on: table)
            let relative = zip(table.scores, offsets).flatMap { scores, offset in scores.map { $0 - offset } }
            let sorted = Set(relative).sorted()
            // Between any two neighbours, below all, and above all: never.
            let shifts =
                zip(sorted, sorted.dropFirst()).map { ($0 + $1) / 2 } + [sorted[0] - 1, sorted[sorted.count - 1] + 1]
            let policies = shifts.map { shift in Thresholds(offsets.map { $0 + shift }) }
            let never = table.exitsTaken(.neverLeaveEarly(exitCount: table.exitCount))
            let expected = Set(policies.map { table.exitsTaken($0) }).subtracting([never])
            let gap = Double(round % 3) / 20
            let set = try CandidateSet.search(table, recipe: recipe(.curve(curve), allowedGap: gap))
            let found = Effect(set, on: table)
            #expect(Set(found.candidates) == expected && found.candidates.count == expected.count)

            let constraint = RiskConstraint(allowedGap: gap)
            let admissible = policies.map { evaluate($0, on: table) }.filter { constraint.admits($0.counts) }
            let tuned = evaluate(set.tuned, on: table)
            // "Never" is among the policies and has no gap to the final layer.
            #expect(constraint.admits(tuned.counts) && tuned.costSum == admissible.map(\.costSum).min())
        }
    }

    @Test("leave out no differences between exits when nothing is shrunk away, and all of them when everything is")
    func shrunk() throws {
        var tables = SmallTables(seed: 3)
        var compared = 0
        for _ in 0..<200 {
            // One, two or four early exits: means of eighths are exact, so ties stay ties.
            let table = tables.next(exits: [2, 3, 5], samples: 5...25)
            let none = try effect(.shrunk(share: 0, starts: 2, moves: .single), on: table, allowedGap: 0.05)
            #expect(try none == effect(.single, on: table, allowedGap: 0.05))
            let perExit = try CandidateSet.search(
                table, recipe: recipe(.perExitCoordinate(starts: 2, moves: .single), allowedGap: 0.05))
            // An exit that is never taken has a threshold above all scores when differences are numbers.
            guard perExit.tuned.values.allSatisfy({ $0 != nil }) else { continue }
            let all = try effect(.shrunk(share: 1, starts: 2, moves: .single), on: table, allowedGap: 0.05)
            #expect(all.candidates == Effect(perExit, on: table).candidates)
            // What was found is on the path, so the tuned one is at least as fast.
            let tuned = try CandidateSet.search(
                table, recipe: recipe(.shrunk(share: 1, starts: 2, moves: .single), allowedGap: 0.05)
            ).tuned
            #expect(evaluate(tuned, on: table).costSum <= evaluate(perExit.tuned, on: table).costSum)
            compared += 1
        }
        #expect(compared > 20)
    }

    // MARK: The slope

    /// Two early exits; with a quality above one half they are right, and mostly wrong below. The final layer is right
    /// for four of five samples, whatever the quality. Scores are qualities, moved at the first exit.
    private func table(firstExitMovedBy shift: Double, seed: UInt64) -> ScoreTable {
        var generator = SplitMix64(seed: seed)
        var (scores, isCorrect) = ([[Double]](repeating: [], count: 2), [[Bool]](repeating: [], count: 3))
        for _ in 0..<4000 {
            for exit in 0..<2 {
                let quality = Double.random(in: 0..<1, using: &generator)
                scores[exit].append(quality + (exit == 0 ? shift : 0))
                isCorrect[exit].append(quality > 0.5 || Int.random(in: 0..<10, using: &generator) < 3)
            }
            isCorrect[2].append(Int.random(in: 0..<5, using: &generator) > 0)
        }
        return ScoreTable(scores: scores, isCorrect: isCorrect, costs: [1, 2, 3])
    }

    @Test("that is picked falls where early exits are overconfident, and rises where they are not confident enough")
    func picked() {
        for seed in UInt64(1)...5 {
            let over = DepthCurve.pick(on: table(firstExitMovedBy: 0.5, seed: seed), guarantee: Recipe.Guarantee())
            #expect(over.slope < 0 && over.bend == 0 && DepthCurve.slopes.contains(over.slope))
            let under = DepthCurve.pick(on: table(firstExitMovedBy: -0.3, seed: seed), guarantee: Recipe.Guarantee())
            #expect(under.slope > 0 && DepthCurve.slopes.contains(under.slope))
        }
    }

    @Test("that is picked is the one whose candidates are used where the recipe names none")
    func pickedIsUsed() throws {
        let table = table(firstExitMovedBy: 0.5, seed: 9)
        let curve = DepthCurve.pick(on: table, guarantee: Recipe.Guarantee())
        let open = try CandidateSet.search(table, recipe: recipe(.curve(nil), allowedGap: 0))
        let named = try CandidateSet.search(table, recipe: recipe(.curve(curve), allowedGap: 0))
        #expect(open.path == named.path && open.tuned == named.tuned)
        // It was worth picking: one shared threshold is slower on the same table.
        let single = try CandidateSet.search(table, recipe: recipe(.single, allowedGap: 0))
        #expect(evaluate(open.tuned, on: table).speedUp > evaluate(single.tuned, on: table).speedUp)
    }

    @Test("that is picked is none where nothing has enough evidence")
    func withoutEvidence() {
        let count = 50
        var generator = SplitMix64(seed: 4)
        let scores = (0..<3).map { _ in (0..<count).map { _ in Double.random(in: 0..<1, using: &generator) } }
        let wrong = Array(repeating: false, count: count)
        let right = Array(repeating: true, count: count)
        let table = ScoreTable(scores: scores, isCorrect: [wrong, wrong, wrong, right], costs: [1, 2, 3, 4])
        #expect(DepthCurve.pick(on: table, guarantee: Recipe.Guarantee()) == DepthCurve(slope: 0))
        // The same with early exits that are as good as the last: no flip either way is no evidence at gap 0.
        let equal = ScoreTable(scores: scores, isCorrect: [right, right, right, right], costs: [1, 2, 3, 4])
        #expect(DepthCurve.pick(on: equal, guarantee: Recipe.Guarantee()) == DepthCurve(slope: 0))
    }

    @Test("that is picked on any table is one of those that are tried, whatever the gap")
    func ofTheList() {
        var tables = SmallTables(seed: 6)
        for round in 0..<200 {
            let table = tables.next(samples: 1...60)
            let guarantee = Recipe.Guarantee(allowedGap: Double(round % 4) / 10)
            let curve = DepthCurve.pick(on: table, guarantee: guarantee)
            #expect(DepthCurve.slopes.contains(curve.slope) && curve.bend == 0)
        }
    }
}
