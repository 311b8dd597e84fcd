import Evaluation
import ExitPolicy
import RiskControl

extension Recipe.Guarantee {
    /// The test that certifies: at gap 0 the exact binomial on discordant pairs, above it the exact unconditional test.
    var test: PairedTest { allowedGap == 0 ? .exactBinomial : .exactTrinomial }

    /// How the tune split orders the candidates.
    var order: CandidateOrder { allowedGap == 0 ? .tunePValue : .tuneZ }

    /// What the test is called in certificates.
    var certificateKind: Certificate.Kind {
        switch test {
        case .exactBinomial: .pairedExactBinomial
        case .exactTrinomial: .pairedExactTrinomial
        }
    }

    /// The p-value of "the risk gap is above the allowed one", for independent samples.
    func pValue(_ counts: PairedCounts) -> Double {
        switch test {
        case .exactBinomial: exactBinomialPValue(counts)
        case .exactTrinomial: ExactTrinomialTest(allowedGap: allowedGap).pValue(counts)
        }
    }
}
