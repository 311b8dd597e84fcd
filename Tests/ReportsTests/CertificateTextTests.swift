import ExitPolicy
import ExitRules
import Testing

@testable import Reports

@Suite("A certificate in words")
struct CertificateTextTests {
    private func text(
        kind: Certificate.Kind = .pairedExactTrinomial, reference: Certificate.Reference = .final,
        loss: PolicyLoss = .error, gap: Double = 0,
        uses: Int = 1, tested: Int = 17, helpful: Int = 102, parts: Certificate.Parts? = nil
    ) -> String {
        CertificateText(
            Certificate(
                kind: kind, reference: reference, loss: loss, allowedGap: gap, failureProbability: 0.05, uses: uses,
                samples: 2121,
                harmfulFlips: 78, helpfulFlips: helpful, pValue: 0.004, candidatesTested: tested, order: "smoothed-z",
                certifyUses: 1, speedUp: 2, parts: parts),
            exits: ["layer 1", "layer 2", "layer 3"], ending: ", at 2.00x the speed on test"
        ).text
    }

    @Test("says with what confidence, on how many samples, what is claimed, and on what evidence")
    func plain() {
        #expect(
            text() == """
                CERTIFIED: with 95 % confidence over the draw of the 2,121 certify samples, the policy's error rate is \
                not above the final layer's (p = 0.004: 78 harmful against 102 helpful flips; test 17 in an order \
                fixed on tune), at 2.00x the speed on test.

                """)
    }

    @Test("claims no more than the gap that is allowed, against the exit that was compared with")
    func claim() {
        #expect(text(gap: 0.01).contains("error rate is at most 1 point above the final layer's"))
        #expect(text(reference: .exit(1)).contains("error rate is not above layer 2's"))
        #expect(text(reference: .exit(7)).contains("error rate is not above exit 7's"))
        let disagreement = text(kind: .disagreement, loss: .disagreement, gap: 0.05, helpful: 0)
        #expect(disagreement.contains("the policy's label differs from the final layer's on at most 5 % of samples"))
        #expect(disagreement.contains("78 differ") && !disagreement.contains("harmful"))
    }

    @Test("tells of planned uses, of a single test, and of neither where there is nothing to tell")
    func uses() {
        #expect(text(uses: 4).contains("(delta divided over 4 uses; all their claims hold together)"))
        #expect(!text().contains("divided"))
        #expect(text(tested: 1).contains("the only test"))
    }

    @Test("names the parts that are covered, and those that are not")
    func parts() {
        func parts(_ demand: Certificate.Parts.Demand, _ marks: [Bool]) -> Certificate.Parts {
            Certificate.Parts(
                partition: .classes, demand: demand,
                members: zip(["no", "yes"], marks).map {
                    .init(name: $0, samples: 9, harmfulFlips: 1, helpfulFlips: 2, isCertified: $1)
                })
        }
        #expect(text(parts: parts(.all, [true, true])).contains("The same holds within every class."))
        let both = text(parts: parts(.each, [true, true]))
        #expect(both.contains("Within each class") && both.contains("no, yes.\n") && !both.contains("Not shown"))
        #expect(text(parts: parts(.each, [true, false])).contains(": no. Not shown: yes."))
        #expect(text(parts: parts(.each, [false, false])).contains(": none. Not shown: no, yes."))
    }
}
