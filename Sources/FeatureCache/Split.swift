/// What a sample serves for. The four splits are disjoint, always.
public enum Split: UInt8, CaseIterable, Sendable {
    /// Heads are trained on it.
    case train = 0
    /// Exit weights, temperatures and thresholds are chosen on it.
    case tune = 1
    /// The chosen policy is certified on it, once.
    case certify = 2
    /// What is reported is measured on it.
    case test = 3

    /// What a cache stores for a sample that no split has.
    public static let unassignedCode: UInt8 = 255
}

extension Split: CustomStringConvertible {
    /// `train`, `tune`, `certify` or `test`.
    public var description: String {
        switch self {
        case .train: "train"
        case .tune: "tune"
        case .certify: "certify"
        case .test: "test"
        }
    }
}

/// Which samples each split has.
public struct Splits: Equatable, Sendable {
    /// The rows that heads are trained on, ascending.
    public var train: [Int]
    /// The rows that policies are chosen on, ascending.
    public var tune: [Int]
    /// The rows that the policy is certified on, ascending.
    public var certify: [Int]
    /// The rows that nothing was chosen on, ascending.
    public var test: [Int]

    /// Creates splits from ascending rows; no row is in two of them.
    public init(train: [Int], tune: [Int], certify: [Int], test: [Int]) {
        self.train = train
        self.tune = tune
        self.certify = certify
        self.test = test
    }

    /// Reads the codes that a cache stores: a ``Split``'s raw value, or anything else for none.
    public init(codes: [UInt8]) {
        var counts = [Int](repeating: 0, count: 256)
        for code in codes { counts[Int(code)] += 1 }
        func rows(_ split: Split) -> [Int] {
            var rows: [Int] = []
            rows.reserveCapacity(counts[Int(split.rawValue)])
            guard rows.capacity > 0 else { return rows }
            for (row, code) in codes.enumerated() where code == split.rawValue { rows.append(row) }
            return rows
        }
        self.init(train: rows(.train), tune: rows(.tune), certify: rows(.certify), test: rows(.test))
    }

    /// The rows of a split, ascending.
    public subscript(split: Split) -> [Int] {
        switch split {
        case .train: train
        case .tune: tune
        case .certify: certify
        case .test: test
        }
    }

    /// [samples]: the code of each sample's split, as a cache stores it.
    public func codes(sampleCount: Int) -> [UInt8] {
        var codes = [UInt8](repeating: Split.unassignedCode, count: sampleCount)
        for split in Split.allCases {
            for row in self[split] { codes[row] = split.rawValue }
        }
        return codes
    }
}
