import Safetensors
import Statistics

/// How samples come to their splits: stored in the cache, drawn from a seed, or the train split stored and the rest drawn.
public enum SplitPlan: Equatable, Sendable {
    /// All four splits are stored in the cache.
    case stored
    /// The train split is stored; all other samples are drawn, as fractions of what is not train.
    case storedTrain(tune: Double, certify: Double, test: Double)
    /// All samples are drawn; without heads to train, train may be 0.
    case fractions(train: Double, tune: Double, certify: Double, test: Double)

    /// How far from 1 the sum of the fractions may be: what writing them in decimal costs.
    static let tolerance = 1e-9
}

/// What is known of the samples that a plan divides.
public struct SplitSubject: Equatable, Sendable {
    /// The file the samples are from, for messages.
    public var file: String
    /// [samples]: in 0..<classes.count.
    public var labels: [Int32]
    /// The names of the classes.
    public var classes: [String]
    /// [samples]: samples of one group stay together; nil when each stands for itself.
    public var groups: [Int32]?
    /// [samples]: the split codes that the file stores, if any.
    public var stored: [UInt8]?
    /// Whether heads are to be trained: an empty train split, or a split that lacks a class, is an error then.
    public var trainsHeads: Bool

    /// Creates a subject; all arrays are as long as `labels`.
    public init(
        file: String, labels: [Int32], classes: [String], groups: [Int32]? = nil, stored: [UInt8]? = nil,
        trainsHeads: Bool = true
    ) {
        precondition(labels.allSatisfy { classes.indices.contains(Int($0)) }, "labels in 0..<classes.count")
        precondition(groups.map { $0.count == labels.count } ?? true, "a group for each sample")
        precondition(stored.map { $0.count == labels.count } ?? true, "a split code for each sample")
        self.file = file
        self.labels = labels
        self.classes = classes
        self.groups = groups
        self.stored = stored
        self.trainsHeads = trainsHeads
    }
}

extension SplitPlan {
    /// Divides the samples of a cache; see ``draw(from:seed:)-(SplitSubject,_)``.
    public func draw(from cache: FeatureCache, seed: UInt64) throws(InputError) -> Splits {
        try draw(from: cache.samples.splitSubject, seed: seed)
    }

    /// Divides samples, stratified by class, groups whole.
    ///
    /// The draw depends on the seed, the samples' labels, and their row numbers or groups, and on nothing else. A unit is
    /// a group, or a sample where there are no groups. The class of a group is its most frequent label, the smallest of
    /// several. Within a class the units stand in the order of `SplitMix64.hash(seed:id:)`, where the id is the row, or
    /// the group's number (a negative one as its 64-bit two's complement). Along that order a unit goes to the first
    /// split whose cumulative fraction of the class's samples reaches the middle of the unit. So without groups, every
    /// cut is at the cumulative fraction times the class's samples, rounded, one half up.
    ///
    /// - Returns: splits in which every class has samples, none of them empty; without heads to train, train may be empty
    ///   and classes may be missing.
    /// - Throws: `outOfRange` for fractions that are no fractions or do not sum to 1; `missing` when the file stores no
    ///   split that the plan needs, or a class is missing from a split; `mismatch` when a stored split divides a group.
    /// - Complexity: O(n log n) for n samples.
    public func draw(from subject: SplitSubject, seed: UInt64) throws(InputError) -> Splits {
        let splits: Splits
        switch self {
        case .stored:
            let codes = try subject.storedCodes()
            try subject.checkGroups(codes, isApart: { $0 != $1 && max($0, $1) != Split.unassignedCode })
            splits = Splits(codes: codes)
        case .storedTrain(let tune, let certify, let test):
            let codes = try subject.storedCodes()
            let train = Split.train.rawValue
            try subject.checkGroups(codes, isApart: { ($0 == train) != ($1 == train) })
            let fractions: [(Split, Double)] = [(.tune, tune), (.certify, certify), (.test, test)]
            try Self.check(fractions, file: subject.file)
            var drawn = subject.draw(codes.indices.filter { codes[$0] != train }, into: fractions, seed: seed)
            drawn.train = codes.indices.filter { codes[$0] == train }
            splits = drawn
        case .fractions(let train, let tune, let certify, let test):
            let fractions: [(Split, Double)] = [(.train, train), (.tune, tune), (.certify, certify), (.test, test)]
            try Self.check(fractions, file: subject.file, allowsNoTrain: !subject.trainsHeads)
            splits = subject.draw(Array(subject.labels.indices), into: fractions, seed: seed)
        }
        try subject.checkClasses(splits)
        return splits
    }

    private static func check(
        _ fractions: [(Split, Double)], file: String, allowsNoTrain: Bool = false
    ) throws(InputError) {
        for (split, fraction) in fractions where !(fraction > 0 && fraction < 1) {
            if split == .train, fraction == 0, allowsNoTrain { continue }
            throw InputError(
                .outOfRange, file: file, item: "splits: \(split)", seen: "the fraction \(fraction)",
                expected: "a number between 0 and 1, both excluded")
        }
        let sum = fractions.reduce(0) { $0 + $1.1 }
        guard abs(sum - 1) <= tolerance else {
            throw InputError(
                .outOfRange, file: file, item: "splits",
                seen: "the fractions of \(fractions.map(\.0.description).joined(separator: ", ")) sum to \(sum)",
                expected: "a sum of 1",
                advice: fractions.count == 4
                    ? "They are fractions of all samples." : "They are fractions of what is not in the train split.")
        }
    }
}

extension SplitSubject {
    /// Samples that go to a split together.
    private struct Unit {
        var key: UInt64
        var identity: Int
        var rows: [Int]
    }

    func draw(_ rows: [Int], into fractions: [(split: Split, fraction: Double)], seed: UInt64) -> Splits {
        guard groups != nil else { return drawSingly(rows, into: fractions, seed: seed) }
        var codes = [UInt8](repeating: Split.unassignedCode, count: labels.count)
        for units in unitsByClass(rows, seed: seed) {
            var deal = Deal(fractions, total: units.reduce(0) { $0 + $1.rows.count })
            for unit in units {
                let split = deal.split(ofNext: unit.rows.count)
                for row in unit.rows { codes[row] = split.rawValue }
            }
        }
        return Splits(codes: codes)
    }

    /// The samples of a class, dealt out to the splits along an order of their units.
    private struct Deal {
        private let fractions: [(split: Split, fraction: Double)]
        private let total: Double
        private var part = 0
        private var cumulative: Double
        /// How many samples are dealt out.
        private var before = 0

        init(_ fractions: [(split: Split, fraction: Double)], total: Int) {
            self.fractions = fractions
            self.total = Double(total)
            cumulative = fractions[0].fraction
        }

        /// The first split whose cumulative fraction of the samples reaches the middle of the next unit.
        mutating func split(ofNext count: Int) -> Split {
            let middle = Double(before) + Double(count) / 2
            while part < fractions.count - 1, middle > cumulative * total {
                part += 1
                cumulative += fractions[part].fraction
            }
            before += count
            return fractions[part].split
        }
    }

    /// The same where each sample is a unit: of a hundred million samples nothing but a key and a row is kept.
    private func drawSingly(
        _ rows: [Int], into fractions: [(split: Split, fraction: Double)], seed: UInt64
    ) -> Splits {
        var codes = [UInt8](repeating: Split.unassignedCode, count: labels.count)
        // Class by class: where each one's samples begin.
        var starts = [Int](repeating: 0, count: classes.count + 1)
        for row in rows { starts[Int(labels[row]) + 1] += 1 }
        for label in classes.indices { starts[label + 1] += starts[label] }
        var units = [(key: UInt64, row: Int)](repeating: (0, 0), count: rows.count)
        var places = starts
        for row in rows {
            let label = Int(labels[row])
            units[places[label]] = (SplitMix64.hash(seed: seed, id: UInt64(bitPattern: Int64(row))), row)
            places[label] += 1
        }
        for label in classes.indices {
            let own = starts[label]..<starts[label + 1]
            units[own].sort { ($0.key, $0.row) < ($1.key, $1.row) }
            var deal = Deal(fractions, total: own.count)
            for unit in units[own] { codes[unit.row] = deal.split(ofNext: 1).rawValue }
        }
        return Splits(codes: codes)
    }

    /// [classes]: the units of each class, in the order in which they are dealt out.
    private func unitsByClass(_ rows: [Int], seed: UInt64) -> [[Unit]] {
        var rowsOfIdentity: [Int: [Int]] = [:]
        for row in rows { rowsOfIdentity[groups.map { Int($0[row]) } ?? row, default: []].append(row) }
        var units = [[Unit]](repeating: [], count: classes.count)
        for (identity, rows) in rowsOfIdentity {
            let key = SplitMix64.hash(seed: seed, id: UInt64(bitPattern: Int64(identity)))
            units[mostFrequentLabel(rows)].append(Unit(key: key, identity: identity, rows: rows))
        }
        for index in units.indices { units[index].sort { ($0.key, $0.identity) < ($1.key, $1.identity) } }
        return units
    }

    private func mostFrequentLabel(_ rows: [Int]) -> Int {
        if rows.count == 1 { return Int(labels[rows[0]]) }
        var counts: [Int32: Int] = [:]
        for row in rows { counts[labels[row], default: 0] += 1 }
        return Int(counts.min { ($1.value, $0.key) < ($0.value, $1.key) }!.key)
    }

    fileprivate func storedCodes() throws(InputError) -> [UInt8] {
        guard let stored else {
            throw InputError(
                .missing, file: file, item: "split", seen: "no stored split", expected: "a split for each sample",
                advice: trainsHeads
                    ? "Store the tensor 'split' with `beem features split`, or give all four fractions in the recipe."
                    : "Store the tensor 'split', name the column of a table, or give fractions in the recipe.")
        }
        return stored
    }

    /// Checks that no group has samples whose codes keep them apart.
    fileprivate func checkGroups(
        _ codes: [UInt8], isApart: (UInt8, UInt8) -> Bool
    ) throws(InputError) {
        guard let groups else { return }
        var codesOfGroup: [Int32: [UInt8: Int]] = [:]
        for (row, group) in groups.enumerated() {
            // The first row of each code the group has; sorted, so that the message is always the same.
            for (other, first) in codesOfGroup[group, default: [:]].sorted(by: { $0.value < $1.value })
            where isApart(codes[row], other) {
                throw InputError(
                    .mismatch, file: file, item: "split",
                    seen: "group \(group) is divided: row \(first) is in \(name(other)), row \(row) in "
                        + name(codes[row]),
                    expected: "all samples of a group in one split", advice: "Draw the splits again.")
            }
            if codesOfGroup[group]?[codes[row]] == nil { codesOfGroup[group, default: [:]][codes[row]] = row }
        }
    }

    private func name(_ code: UInt8) -> String { Split(rawValue: code)?.description ?? "none" }

    fileprivate func checkClasses(_ splits: Splits) throws(InputError) {
        for split in Split.allCases {
            let rows = splits[split]
            if rows.isEmpty, split == .train, !trainsHeads { continue }
            guard !rows.isEmpty else {
                throw InputError(
                    .missing, file: file, item: "\(split) split", seen: "no samples",
                    expected: trainsHeads ? "samples of every class" : "samples",
                    advice: "Change the split or its fraction.")
            }
            guard trainsHeads else { continue }
            let present = Set(rows.map { labels[$0] })
            for (index, name) in classes.enumerated() where !present.contains(Int32(index)) {
                let count = labels.count { $0 == Int32(index) }
                throw InputError(
                    .missing, file: file, item: "\(split) split",
                    seen: "no sample of class '\(name)', of which there are \(count) in all",
                    expected: "samples of every class in every split",
                    advice: count < 4
                        ? "Collect more samples of it, or leave the class out." : "Change the fractions or the seed.")
            }
        }
    }
}
