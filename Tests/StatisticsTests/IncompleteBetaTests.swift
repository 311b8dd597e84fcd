import Testing

@testable import Statistics

@Suite("The incomplete beta function and exact intervals")
struct IncompleteBetaTests {
    @Test("both tails agree with SciPy and with 60 digits")
    func tails() throws {
        for row in Golden.values.beta {
            let tails = IncompleteBeta.tails(row.a, row.b, x: row.x)
            for (value, expected) in [(tails.lower, row.lower), (tails.upper, row.upper)] {
                let exact = try #require(expected[1])
                // The larger tail is a complement: its error is that of the smaller one, at most a few ulps of 1.
                let tolerance = 1e-12 + 4 * 0x1p-53 / exact
                guard exact > 1e-290, tolerance < 1e-3 else { continue }
                #expect(relativeError(value, exact) < tolerance, "\(row)")
                if let scipy = expected[0] { #expect(relativeError(value, scipy) < 2 * tolerance, "\(row)") }
            }
        }
    }

    @Test("the smaller tail keeps its own digits")
    func smallTails() throws {
        var checked = 0
        for row in Golden.values.beta {
            let (lower, upper) = (try #require(row.lower[1]), try #require(row.upper[1]))
            guard min(lower, upper) > 1e-290, min(lower, upper) < 0.1 else { continue }
            let tails = IncompleteBeta.tails(row.a, row.b, x: row.x)
            #expect(relativeError(min(tails.lower, tails.upper), min(lower, upper)) < 1e-12, "\(row)")
            checked += 1
        }
        #expect(checked > 8)
    }

    @Test("it is a binomial tail at whole parameters: one truth by two methods")
    func agreesWithBinomial() {
        for trials in [1, 2, 9, 40, 1000] {
            for successes in stride(from: 1, through: trials, by: max(1, trials / 13)) {
                for probability in [1e-5, 0.03, 0.4, 0.97] {
                    let direct = Binomial(trials: trials, probability: probability).upperTail(from: successes)
                    let tails = IncompleteBeta.tails(
                        Double(successes), Double(trials - successes + 1), x: probability)
                    #expect(relativeError(tails.lower, direct) < 1e-12 || direct < 1e-290)
                }
            }
        }
    }

    @Test("the inverses undo both tails, from 1e-200 to nearly 1")
    func inverses() {
        for (a, b) in [(0.5, 0.5), (1.0, 1.0), (1, 1e6), (3, 7), (0.01, 2.5), (200, 800), (1e6, 1e6), (40, 1)] {
            for probability in [1e-200, 1e-12, 0.001, 0.025, 0.5, 0.975, 0.999999] {
                let x = IncompleteBeta.inverse(lowerTail: probability, a, b)
                // Where x has no room to be more exact, the next number up must already be past the goal.
                let lower = IncompleteBeta.tails(a, b, x: x).lower
                let next = IncompleteBeta.tails(a, b, x: min(1, x + 4 * x.ulp)).lower
                let before = IncompleteBeta.tails(a, b, x: max(0, x - 4 * x.ulp)).lower
                let slack = 1e-12 * probability + 4 * 0x1p-53
                let isExact = relativeError(lower, probability) < 1e-12
                #expect(
                    isExact || (before <= probability + slack && probability - slack <= next),
                    "\(a) \(b) \(probability)")

                let y = IncompleteBeta.inverse(upperTail: probability, b, a)
                let upper = IncompleteBeta.tails(b, a, x: y).upper
                let above = IncompleteBeta.tails(b, a, x: max(0, y - 4 * y.ulp)).upper
                let below = IncompleteBeta.tails(b, a, x: min(1, y + 4 * y.ulp)).upper
                #expect(
                    relativeError(upper, probability) < 1e-12
                        || (below <= probability + slack && probability - slack <= above), "\(b) \(a) \(probability)")
            }
        }
        #expect(IncompleteBeta.inverse(lowerTail: 0, 2, 3) == 0 && IncompleteBeta.inverse(lowerTail: 1, 2, 3) == 1)
        #expect(IncompleteBeta.inverse(upperTail: 0, 2, 3) == 1 && IncompleteBeta.inverse(upperTail: 1, 2, 3) == 0)
    }

    @Test("exact intervals agree with SciPy's Clopper-Pearson interval")
    func intervals() {
        for row in Golden.values.intervals {
            let interval = BinomialInterval(successes: Int(row[1]), trials: Int(row[0]), confidence: row[2])
            // Ours are 1e-12 wider.
            #expect(relativeError(interval.lower, row[3]) < 3e-12, "\(row)")
            #expect(relativeError(interval.upper, row[4]) < 3e-12, "\(row)")
        }
    }

    @Test("the tails at the ends of an interval are never above what the ends may err")
    func intervalsAreConservative() {
        for trials in [1, 7, 150, 20_000] {
            for successes in stride(from: 0, through: trials, by: max(1, trials / 7)) {
                let interval = BinomialInterval(successes: successes, trials: trials, confidence: 0.9)
                let low = Binomial(trials: trials, probability: interval.lower).upperTail(from: successes)
                let high = Binomial(trials: trials, probability: interval.upper).lowerTail(through: successes)
                #expect(
                    successes == 0 ? interval.lower == 0 : low <= 0.05 && low > 0.05 * (1 - 1e-6),
                    "\(trials) \(successes) \(low)")
                #expect(
                    successes == trials ? interval.upper == 1 : high <= 0.05 && high > 0.05 * (1 - 1e-6),
                    "\(trials) \(successes) \(high)")
            }
        }
    }

    @Test("without trials an interval says nothing")
    func noTrials() {
        let interval = BinomialInterval(successes: 0, trials: 0)
        #expect(interval.lower == 0 && interval.upper == 1)
    }
}
