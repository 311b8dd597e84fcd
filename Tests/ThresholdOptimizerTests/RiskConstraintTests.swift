import Evaluation
import Testing
import ThresholdOptimizer

@Suite("The risk constraint")
struct RiskConstraintTests {
    @Test("an allowed gap that a count meets in decimals admits it, although the product in Double falls short")
    func decimals() {
        #expect(0.29 * 100 < 29)
        #expect(RiskConstraint(allowedGap: 0.29).largestExcess(samples: 100) == 29)
        #expect(RiskConstraint(allowedGap: 0.07).largestExcess(samples: 100) == 7)
        #expect(RiskConstraint(allowedGap: 0.01).largestExcess(samples: 199) == 1)
        #expect(RiskConstraint(allowedGap: 1).largestExcess(samples: 13) == 13)
        #expect(RiskConstraint(allowedGap: 0.5).largestExcess(samples: 0) == 0)
    }

    @Test("an allowed gap of 0 admits no excess at any size")
    func zero() {
        for samples in [1, 7, 1000, 10_000_019] {
            #expect(RiskConstraint(allowedGap: 0).largestExcess(samples: samples) == 0)
        }
    }

    @Test("admits exactly the counts whose reported gap is at most epsilon")
    func definition() {
        for samples in 1...60 {
            for step in 0...100 {
                let constraint = RiskConstraint(allowedGap: Double(step) / 100)
                for harmful in 0...samples {
                    let counts = PairedCounts(samples: samples, harmfulFlips: harmful, helpfulFlips: 0)
                    #expect(constraint.admits(counts) == (counts.riskGap <= constraint.allowedGap))
                }
            }
        }
    }

    @Test("helpful flips make up for harmful ones")
    func helpful() {
        let counts = PairedCounts(samples: 100, harmfulFlips: 10, helpfulFlips: 9)
        #expect(RiskConstraint(allowedGap: 0.01).admits(counts) && !RiskConstraint(allowedGap: 0).admits(counts))
    }
}
