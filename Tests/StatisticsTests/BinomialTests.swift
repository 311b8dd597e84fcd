import Testing

@testable import Statistics

@Suite("Binomial probabilities and tails")
struct BinomialTests {
    @Test("the McNemar tail agrees with SciPy's binomtest and with 60 digits to 1e-12 relative, up to a million pairs")
    func mcNemarTail() throws {
        #expect(Golden.values.mcnemar.count > 50)
        for row in Golden.values.mcnemar {
            let (trials, harmful) = (Int(try #require(row[0])), Int(try #require(row[1])))
            let exact = try #require(row[3])
            let value = Binomial(trials: trials, probability: 0.5).lowerTail(through: harmful)
            // Below 1e-290 a Double itself has fewer digits.
            guard exact > 1e-290 else {
                #expect(value <= 1e-290, "\(row)")
                continue
            }
            #expect(relativeError(value, exact) < 1e-13, "\(row)")
            if let scipy = row[2] { #expect(relativeError(value, scipy) < 1e-12, "\(row)") }
        }
    }

    @Test("point probabilities and both tails agree with SciPy and with 60 digits, also where they are tiny")
    func probabilities() throws {
        for row in Golden.values.binomial {
            let distribution = Binomial(trials: row.trials, probability: row.probability)
            let values = [
                (distribution.probability(of: row.successes), row.mass),
                (distribution.lowerTail(through: row.successes), row.lower),
                (distribution.upperTail(from: row.successes), row.upper),
            ]
            for (value, expected) in values {
                let exact = try #require(expected[1])
                guard exact > 1e-290 else {
                    #expect(value <= 1e-290)
                    continue
                }
                #expect(relativeError(value, exact) < 2e-13, "\(row)")
                if let scipy = expected[0] { #expect(relativeError(value, scipy) < 1.2e-12, "\(row)") }
            }
        }
    }

    @Test("the probabilities of up to 40 fair trials are counts over a power of two, to the last few bits")
    func fairTrials() {
        for trials in 0...40 {
            let distribution = Binomial(trials: trials, probability: 0.5)
            var coefficient = 1
            var sum = 0
            let total = Double(1 << trials)
            for successes in 0...trials {
                sum += coefficient
                #expect(
                    relativeError(distribution.probability(of: successes), Double(coefficient) / total) <= 8 * 0x1p-53)
                #expect(
                    relativeError(distribution.lowerTail(through: successes), Double(sum) / total) <= 16 * 0x1p-53)
                coefficient = coefficient * (trials - successes) / (successes + 1)
            }
        }
    }

    @Test("the tails on either side of every cut add up to 1")
    func tailsAreComplements() {
        for probability in [0.003, 0.25, 0.5, 0.9] {
            let distribution = Binomial(trials: 400, probability: probability)
            for cut in -1...400 {
                let sum = distribution.lowerTail(through: cut) + distribution.upperTail(from: cut + 1)
                // At the mean both are sums of many terms; elsewhere one is the other's complement.
                #expect(abs(sum - 1) <= 16 * 0x1p-53)
            }
        }
    }

    @Test("nothing is left to chance without trials, at probability 0 and at probability 1")
    func certainties() {
        let none = Binomial(trials: 0, probability: 0.5)
        #expect(none.lowerTail(through: 0) == 1 && none.probability(of: 0) == 1 && none.logProbability(of: 0) == 0)
        let never = Binomial(trials: 7, probability: 0)
        #expect(never.probability(of: 0) == 1 && never.upperTail(from: 1) == 0 && never.lowerTail(through: 3) == 1)
        let always = Binomial(trials: 7, probability: 1)
        #expect(always.probability(of: 7) == 1 && always.lowerTail(through: 6) == 0 && always.upperTail(from: 4) == 1)
        #expect(always.probability(of: 8) == 0 && always.probability(of: -1) == 0)
        #expect(always.logProbability(of: 6) == -.infinity)
    }

    @Test("a log-probability that underflows as a probability is still a number")
    func logProbability() {
        let distribution = Binomial(trials: 1_000_000, probability: 0.5)
        #expect(distribution.probability(of: 0) == 0)
        #expect(relativeError(distribution.logProbability(of: 0), -693_147.180559945309) < 1e-15)
    }
}
