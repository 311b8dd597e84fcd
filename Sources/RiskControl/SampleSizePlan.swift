import RealModule

/// Plans a certificate: how many labelled samples certify a gap with a given probability, and what a given number of
/// samples certifies.
///
/// ```swift
/// let plan = SampleSizePlan(level: 0.05, power: 0.8)
/// let rates = FlipRates(harmful: 0.01, helpful: 0.012)
/// plan.samples(for: rates, allowedGap: 0.005)      // .needed, 2860 samples
/// plan.smallestAllowedGap(samples: 2000, rates: rates)  // 0.0064
/// ```
///
/// The answers are as good as the flip rates that go in. They do **not** promise a certificate: with the power of 0.8,
/// one in five certifications of a policy with these very rates fails.
///
/// Powers are exact, ``PairedTest/power(samples:rates:allowedGap:level:leftOut:)``, as long as no more than
/// ``exactFlips`` flips are expected, and normal approximations beyond; every answer says which.
public struct SampleSizePlan: Equatable, Sendable {
    /// The level of the certificate, delta; with several candidates or uses, the part that one test gets.
    public let level: Double
    /// The probability of a certificate that is asked for.
    public let power: Double
    /// The test that will certify.
    public let test: PairedTest

    /// Up to how many expected flips, n (P(b) + P(c)), powers are exact. The time of one is proportional to it: about
    /// a second here.
    public static let exactFlips = 5000.0
    /// No larger number of samples is looked for.
    public static let sampleLimit = 100_000_000
    /// Smallest allowed gaps are multiples of one over this.
    public static let gapSteps = 10_000
    /// The gaps of ``powers(samples:rates:allowedGaps:)``.
    public static let usualGaps = [0, 0.0025, 0.005, 0.01, 0.02]

    /// Creates a plan.
    ///
    /// - Parameters:
    ///   - level: in (0, 1).
    ///   - power: in (level, 1).
    ///   - test: by default the one that certificates use.
    public init(level: Double = 0.05, power: Double = 0.8, test: PairedTest = .strongest) {
        precondition(level > 0 && level < 1, "a level lies between 0 and 1")
        precondition(power > level && power < 1, "a power lies between the level and 1")
        self.level = level
        self.power = power
        self.test = test
    }

    /// A design and the power it has.
    public struct Design: Equatable, Sendable {
        /// How many labelled samples.
        public let samples: Int
        /// The largest gap that is accepted, epsilon.
        public let allowedGap: Double
        /// The probability that it is certified.
        public let power: Double
        /// Whether the power is a normal approximation and not exact.
        public let isApproximate: Bool
    }

    /// How many samples are needed, or why no number is named.
    public enum SampleSize: Equatable, Sendable {
        /// As many as the design says.
        case needed(Design)
        /// More than this number, at which the search ended.
        case moreThan(Int)
        /// No number will do: the risk gap of the flip rates is not below the gap that the test accepts.
        case impossible
    }

    /// The number of samples that certifies an allowed gap.
    ///
    /// The power of an exact test saws: it rises with n, and falls a little wherever the next harmful flip is not
    /// accepted yet. So this is not the least n whose power is enough, which may have a successor with less. It is a
    /// number on a grid (all up to 100, then steps of 1 %) such that the power is enough there and at all points of the
    /// grid up to one tooth of the saw (`2 / allowedGap` samples), at least the next three; and at the point before, it
    /// is not enough. Numbers between the points of the grid are not looked at, and a deeper dip further on is not
    /// excluded.
    ///
    /// - Parameters:
    ///   - rates: those of the flips, as they are assumed to be.
    ///   - allowedGap: in [0, 1). For ``PairedTest/exactBinomial``, which tests a gap of 0, it changes nothing.
    /// - Complexity: ten to twenty exact powers, most of them stopped early; seconds when thousands of flips are
    ///   expected.
    public func samples(for rates: FlipRates, allowedGap: Double) -> SampleSize {
        let approximation = NormalPower(test: test, rates: rates, allowedGap: allowedGap, level: level)
        guard approximation.margin > 0 else { return .impossible }
        let start = approximation.samples(power: power)
        guard start <= Double(Self.sampleLimit) else { return .moreThan(Self.sampleLimit) }

        let grid = Self.grid
        var known: [Int: Bool] = [:]
        func isEnough(_ index: Int) -> Bool {
            if let answer = known[index] { return answer }
            let answer = reachesPower(samples: grid[index], rates: rates, allowedGap: allowedGap)
            known[index] = answer
            return answer
        }
        let guess = grid.firstIndex { Double($0) >= start } ?? grid.count - 1
        guard var answer = firstIndex(near: guess, in: 0...(grid.count - 1), where: isEnough) else {
            return .moreThan(Self.sampleLimit)
        }
        while answer < grid.count {
            let tooth = approximation.gap > 0 ? 2 / approximation.gap : 0
            let end = grid.lastIndex { Double($0) <= Double(grid[answer]) + tooth } ?? answer
            let next = answer...min(max(end, answer + 3), grid.count - 1)
            guard let dip = next.last(where: { !isEnough($0) }) else {
                return .needed(design(samples: grid[answer], rates: rates, allowedGap: allowedGap))
            }
            answer = dip + 1
        }
        return .moreThan(Self.sampleLimit)
    }

    /// The smallest allowed gap that a number of samples certifies; nil when no gap below 1 is.
    ///
    /// A multiple of 0.0001, found by bisection: the power there is enough, one step below it is not.
    ///
    /// - Complexity: about ten exact powers, most of them stopped early.
    public func smallestAllowedGap(samples: Int, rates: FlipRates) -> Design? {
        let gap = { (index: Int) in Double(index) / Double(Self.gapSteps) }
        let range = 0...(Self.gapSteps - 1)
        let guess = firstIndex(near: range.upperBound, in: range) {
            NormalPower(test: test, rates: rates, allowedGap: gap($0), level: level).power(samples: samples) >= power
        }
        let answer = firstIndex(near: guess ?? range.upperBound, in: range) {
            reachesPower(samples: samples, rates: rates, allowedGap: gap($0))
        }
        return answer.map { design(samples: samples, rates: rates, allowedGap: gap($0)) }
    }

    /// The power of a number of samples at several allowed gaps.
    public func powers(
        samples: Int, rates: FlipRates, allowedGaps: [Double] = SampleSizePlan.usualGaps
    ) -> [Design] {
        allowedGaps.map { design(samples: samples, rates: rates, allowedGap: $0) }
    }

    private func isExact(_ samples: Int, _ rates: FlipRates) -> Bool {
        Double(samples) * rates.discordance <= Self.exactFlips
    }

    private func design(samples: Int, rates: FlipRates, allowedGap: Double) -> Design {
        let isExact = isExact(samples, rates)
        let power =
            isExact
            ? test.power(samples: samples, rates: rates, allowedGap: allowedGap, level: level)
            : NormalPower(test: test, rates: rates, allowedGap: allowedGap, level: level).power(samples: samples)
        return Design(samples: samples, allowedGap: allowedGap, power: power, isApproximate: !isExact)
    }

    private func reachesPower(samples: Int, rates: FlipRates, allowedGap: Double) -> Bool {
        guard isExact(samples, rates) else {
            return design(samples: samples, rates: rates, allowedGap: allowedGap).power >= power
        }
        return test.hasPower(power, samples: samples, rates: rates, allowedGap: allowedGap, level: level)
    }

    /// The numbers of samples that are looked at: all up to 100, then in steps of 1 %.
    static let grid: [Int] = {
        var grid = Array(1...100)
        for step in 1... {
            let samples = Int((100 * Double.pow(1.01, step)).rounded())
            guard samples < sampleLimit else { break }
            grid.append(samples)
        }
        return grid + [sampleLimit]
    }()
}

/// An index where something holds and before which it does not, or the first of the range; nil when it never holds.
/// The only one if it goes on holding. Looks near a guess, in steps that double, then halves.
private func firstIndex(near guess: Int, in range: ClosedRange<Int>, where holds: (Int) -> Bool) -> Int? {
    var (fails, succeeds) = (range.lowerBound - 1, range.upperBound + 1)
    var (index, step) = (guess, 1)
    while index > fails, index < succeeds {
        if holds(index) { succeeds = index } else { fails = index }
        index = index == succeeds ? max(index - step, range.lowerBound) : min(index + step, range.upperBound)
        step *= 2
    }
    while succeeds - fails > 1 {
        let middle = (fails + succeeds) / 2
        if holds(middle) { succeeds = middle } else { fails = middle }
    }
    return succeeds <= range.upperBound ? succeeds : nil
}
