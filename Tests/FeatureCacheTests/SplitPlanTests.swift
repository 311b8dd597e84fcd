import Safetensors
import Statistics
import TestSupport
import Testing

@testable import FeatureCache

@Suite("Drawing splits")
struct SplitPlanTests {
    private func subject(
        _ labels: [Int32], classes: Int = 3, groups: [Int32]? = nil, stored: [UInt8]? = nil
    ) -> SplitSubject {
        SplitSubject(
            file: "cache.safetensors", labels: labels, classes: (0..<classes).map { "class \($0)" }, groups: groups,
            stored: stored)
    }

    private func randomLabels(_ count: Int, seed: UInt64) -> [Int32] {
        var generator = SplitMix64(seed: seed)
        // Classes of different sizes.
        return (0..<count).map { _ in [0, 0, 0, 1, 1, 2][Int.random(in: 0..<6, using: &generator)] }
    }

    private static let plan = SplitPlan.fractions(train: 0.5, tune: 0.15, certify: 0.2, test: 0.15)

    private func expectDisjointAndComplete(_ splits: Splits, rows: [Int]) {
        #expect(Split.allCases.flatMap { splits[$0] }.sorted() == rows)
        for split in Split.allCases { #expect(splits[split] == splits[split].sorted()) }
    }

    // MARK: Samples

    @Test("are disjoint, complete, and stratified to within half a sample at every cut", arguments: 1...12)
    func stratified(seed: UInt64) throws {
        let labels = randomLabels(97 + 31 * Int(seed), seed: seed)
        let splits = try Self.plan.draw(from: subject(labels), seed: seed)
        expectDisjointAndComplete(splits, rows: Array(labels.indices))
        for label in Int32(0)..<3 {
            let total = labels.count { $0 == label }
            var cumulative = 0
            var target = 0.0
            for (split, fraction) in zip(Split.allCases, [0.5, 0.15, 0.2, 0.15]) {
                cumulative += splits[split].count { labels[$0] == label }
                target += fraction * Double(total)
                #expect(abs(Double(cumulative) - target) <= 0.5 + 1e-9)
            }
        }
    }

    @Test("cut half a sample up")
    func halfUp() throws {
        let labels = [Int32](repeating: 0, count: 10)
        let splits = try SplitPlan.fractions(train: 0.25, tune: 0.25, certify: 0.25, test: 0.25)
            .draw(from: subject(labels, classes: 1), seed: 1)
        // Cuts at 2.5, 5 and 7.5 of 10.
        #expect(Split.allCases.map { splits[$0].count } == [3, 2, 3, 2])
    }

    @Test("depend on the seed, the rows and their labels, and on nothing else")
    func keys() throws {
        let labels = randomLabels(200, seed: 3)
        let splits = try Self.plan.draw(from: subject(labels), seed: 7)
        #expect(try Self.plan.draw(from: subject(labels), seed: 7) == splits)
        #expect(try Self.plan.draw(from: subject(labels), seed: 8) != splits)
        // Within a class, train are the rows with the smallest keys.
        for label in Int32(0)..<3 {
            let rows = labels.indices.filter { labels[$0] == label }
                .sorted { SplitMix64.hash(seed: 7, id: UInt64($0)) < SplitMix64.hash(seed: 7, id: UInt64($1)) }
            let inTrain = rows.map { splits.train.contains($0) }
            #expect(inTrain == inTrain.sorted { $0 && !$1 })
        }
    }

    @Test("are those that train_draw.py of beem-policy draws")
    func python() throws {
        // draw_train_rows(labels, 0.4, seed=7)
        let labels = (0..<30).map { Int32(($0 * $0 + $0 / 3) % 3) }
        let plan = SplitPlan.fractions(train: 0.4, tune: 0.2, certify: 0.2, test: 0.2)
        #expect(
            try plan.draw(from: subject(labels), seed: 7).train == [4, 5, 9, 11, 12, 13, 17, 18, 20, 23, 25, 28])
        // draw_train_groups(labels, groups, 0.4, seed=7)
        let names: [Int32] = [-3, 5, 9, -100, 12, 40, 77, 78, 79]
        let groups = (0..<30).map { names[$0 < 18 ? $0 % 9 : $0 * 7 % 9] }
        let grouped = subject(labels, groups: groups)
        #expect(grouped.drawTrain(0.4, seed: 7) == [0, 1, 2, 4, 9, 10, 11, 13, 18, 22, 25, 26, 27])
    }

    @Test("stay as they are, since policies name a seed and not rows")
    func golden() throws {
        let splits = try SplitPlan.fractions(train: 0.4, tune: 0.2, certify: 0.2, test: 0.2)
            .draw(from: subject((0..<30).map { Int32($0 % 3) }), seed: 11)
        #expect(splits.train == [1, 2, 4, 5, 6, 7, 11, 15, 18, 24, 26, 28])
        #expect(splits.tune == [8, 9, 16, 20, 25, 27])
        #expect(splits.certify == [0, 13, 14, 17, 21, 22])
        #expect(splits.test == [3, 10, 12, 19, 23, 29])
    }

    // MARK: Groups

    @Test("never divide a group, and come as near to the fractions as half the largest group", arguments: 1...12)
    func groups(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        var labels: [Int32] = []
        var groups: [Int32] = []
        for group in Int32(-60)..<60 {
            let size = Int.random(in: 1...7, using: &generator)
            let main = Int32.random(in: 0..<3, using: &generator)
            // Two of five samples have another label than most.
            labels += (0..<size).map { $0 % 5 < 3 ? main : (main + 1) % 3 }
            groups += [Int32](repeating: group, count: size)
        }
        let order = labels.indices.shuffled(using: &generator)
        labels = order.map { labels[$0] }
        groups = order.map { groups[$0] }
        let splits = try Self.plan.draw(from: subject(labels, groups: groups), seed: seed)
        expectDisjointAndComplete(splits, rows: Array(labels.indices))
        let members = Split.allCases.map { split in Set(splits[split].map { groups[$0] }) }
        #expect(members.reduce(0) { $0 + $1.count } == 120)
        // Three classes of groups, each within half of the largest group at each of the two cuts of a split.
        for (split, fraction) in zip(Split.allCases, [0.5, 0.15, 0.2, 0.15]) {
            #expect(abs(Double(splits[split].count) - fraction * Double(labels.count)) <= 3 * 7)
        }
    }

    @Test("treat a group of one as a sample")
    func groupsOfOne() throws {
        let labels = randomLabels(150, seed: 2)
        let alone = try Self.plan.draw(from: subject(labels), seed: 5)
        let grouped = try Self.plan.draw(from: subject(labels, groups: labels.indices.map { Int32($0) }), seed: 5)
        #expect(alone == grouped)
    }

    // MARK: Stored

    @Test("take a stored train split and draw the rest")
    func storedTrain() throws {
        let labels = randomLabels(300, seed: 4)
        let stored = labels.indices.map { UInt8($0 % 3 == 0 ? 0 : $0 % 3 == 1 ? 255 : 2) }
        let splits = try SplitPlan.storedTrain(tune: 0.3, certify: 0.4, test: 0.3)
            .draw(from: subject(labels, stored: stored), seed: 7)
        expectDisjointAndComplete(splits, rows: Array(labels.indices))
        #expect(splits.train == labels.indices.filter { $0 % 3 == 0 })
        #expect(abs(Double(splits.certify.count) - 0.4 * 200) <= 3)
    }

    @Test("take all stored splits as they are, and leave out what has none")
    func stored() throws {
        let labels: [Int32] = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
        let codes: [UInt8] = [3, 3, 2, 2, 1, 1, 0, 0, 255, 255]
        let splits = try SplitPlan.stored.draw(from: subject(labels, classes: 2, stored: codes), seed: 1)
        #expect(splits == Splits(train: [6, 7], tune: [4, 5], certify: [2, 3], test: [0, 1]))
        #expect(splits.codes(sampleCount: 10) == codes)
        #expect(Splits(codes: codes) == splits)
    }

    @Test(
        "need the split that the plan names",
        arguments: [SplitPlan.stored, .storedTrain(tune: 0.3, certify: 0.4, test: 0.3)])
    func nothingStored(plan: SplitPlan) throws {
        let error = try #require(throws: InputError.self) { try plan.draw(from: subject([0, 1, 2]), seed: 1) }
        #expect(error.kind == .missing && error.item == "split" && error.file == "cache.safetensors")
    }

    @Test("refuse a stored split that divides a group")
    func dividedGroup() throws {
        let labels: [Int32] = [0, 0, 0, 0, 0, 0]
        let groups: [Int32] = [1, 2, 1, 3, 4, 5]
        let all = try #require(throws: InputError.self) {
            try SplitPlan.stored.draw(
                from: subject(labels, classes: 1, groups: groups, stored: [0, 0, 1, 1, 2, 3]), seed: 1)
        }
        #expect(all.kind == .mismatch && all.item == "split")
        #expect(all.seen == "group 1 is divided: row 0 is in train, row 2 in tune")
        // What is not assigned may be in a group with what is, unless it would be drawn into another split.
        let codes: [UInt8] = [0, 0, 255, 1, 2, 3]
        let partly = subject(labels, classes: 1, groups: groups, stored: codes)
        #expect(throws: Never.self) { try SplitPlan.stored.draw(from: partly, seed: 1) }
        let train = try #require(throws: InputError.self) {
            try SplitPlan.storedTrain(tune: 0.3, certify: 0.4, test: 0.3).draw(from: partly, seed: 1)
        }
        #expect(train.seen == "group 1 is divided: row 0 is in train, row 2 in none")
    }

    // MARK: What cannot be drawn

    @Test(
        "refuse fractions that do not sum to 1, or are none",
        arguments: [
            SplitPlan.fractions(train: 0.5, tune: 0.2, certify: 0.2, test: 0.2),
            .fractions(train: 0.7, tune: 0.1, certify: 0.1, test: 0.0999),
            .fractions(train: 1, tune: 0, certify: 0, test: 0),
            .fractions(train: 0.5, tune: -0.1, certify: 0.3, test: 0.3),
            .fractions(train: .nan, tune: 0.2, certify: 0.2, test: 0.2),
            .storedTrain(tune: 0.3, certify: 0.3, test: 0.3),
        ])
    func badFractions(plan: SplitPlan) throws {
        let labels = randomLabels(100, seed: 1)
        let samples = subject(labels, stored: [UInt8](repeating: 0, count: 50) + [UInt8](repeating: 255, count: 50))
        let error = try #require(throws: InputError.self) { try plan.draw(from: samples, seed: 1) }
        #expect(error.kind == .outOfRange && error.item?.hasPrefix("splits") == true)
    }

    @Test("accept fractions that sum to 1 but for rounding")
    func roundedFractions() {
        let plan = SplitPlan.fractions(train: 0.1, tune: 0.2, certify: 0.3, test: 0.4)
        #expect(throws: Never.self) { try plan.draw(from: subject(randomLabels(100, seed: 1)), seed: 1) }
    }

    @Test("name the split and the class when a class is missing from a split")
    func missingClass() throws {
        let labels: [Int32] = [Int32](repeating: 0, count: 40) + [1, 1, 1]
        let error = try #require(throws: InputError.self) {
            try Self.plan.draw(from: subject(labels, classes: 2), seed: 1)
        }
        #expect(error.kind == .missing && error.item?.hasSuffix(" split") == true)
        #expect(error.seen == "no sample of class 'class 1', of which there are 3 in all")
        let stored = try #require(throws: InputError.self) {
            try SplitPlan.stored.draw(
                from: subject([0, 1, 0, 1, 0, 1, 1, 1], classes: 2, stored: [0, 0, 1, 1, 2, 2, 3, 3]), seed: 1)
        }
        #expect(stored.item == "test split" && stored.seen.contains("'class 0'"))
        let empty = try #require(throws: InputError.self) {
            try SplitPlan.stored.draw(from: subject([0, 0, 0], classes: 1, stored: [0, 1, 2]), seed: 1)
        }
        #expect(empty.item == "test split" && empty.seen == "no samples")
    }
}

extension SplitSubject {
    /// The train rows of a draw, whatever became of the classes.
    fileprivate func drawTrain(_ fraction: Double, seed: UInt64) -> [Int] {
        draw(Array(labels.indices), into: [(.train, fraction), (.test, 1 - fraction)], seed: seed).train
    }
}
