import ExitPolicy
import Foundation
import Testing

@Suite("Certificates in files")
struct CertificateTests {
    /// The example of the policy format.
    static let fields: [String: String] = [
        "kind": "\"paired-exact-binomial\"", "reference": "\"final\"", "allowedGap": "0", "failureProbability": "0.05",
        "samples": "2121", "harmfulFlips": "8", "helpfulFlips": "25", "pValue": "0.002", "candidatesTested": "41",
        "order": "\"tune-z\"", "certifyUses": "1", "speedUp": "2.1",
    ]

    static func json(_ changes: [String: String?] = [:]) -> Data {
        let fields = fields.merging(changes.compactMapValues { $0 }) { $1 }
            .filter { changes[$0.key] ?? "" != nil }
        return Data("{\(fields.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", "))}".utf8)
    }

    static let example = Certificate(
        kind: .pairedExactBinomial, allowedGap: 0, failureProbability: 0.05, samples: 2121, harmfulFlips: 8,
        helpfulFlips: 25, pValue: 0.002, candidatesTested: 41, order: "tune-z", certifyUses: 1, speedUp: 2.1)

    @Test("the example of the policy format is read")
    func reads() throws {
        #expect(try JSONDecoder().decode(Certificate.self, from: Self.json()) == Self.example)
    }

    @Test("what is written has exactly the keys of the format, and comes back equal")
    func roundTrip() throws {
        let data = try JSONEncoder().encode(Self.example)
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(Set(object.keys) == Set(Self.fields.keys).union(["uses", "loss"]))
        #expect(object["kind"] as? String == "paired-exact-binomial" && object["reference"] as? String == "final")
        #expect(try JSONDecoder().decode(Certificate.self, from: data) == Self.example)
    }

    @Test("one from before uses, disagreements and parts were written down is read as of one use, without the others")
    func before() throws {
        let certificate = try JSONDecoder().decode(Certificate.self, from: Self.json())
        #expect(certificate.uses == 1 && certificate.disagreements == nil && certificate.parts == nil)
        #expect(certificate.level == 0.05 && !certificate.isOverused)
        #expect(certificate.loss == .error)
        let disagreement = Self.json(["kind": "\"disagreement\"", "allowedGap": "0.1"])
        #expect(try JSONDecoder().decode(Certificate.self, from: disagreement).loss == .disagreement)
    }

    @Test("what counts against the policy is written down, for every kind of test")
    func loss() throws {
        let data = Self.json(["kind": "\"group-betting\"", "loss": "\"disagreement\"", "allowedGap": "0.1"])
        let certificate = try JSONDecoder().decode(Certificate.self, from: data)
        #expect(certificate.loss == .disagreement && certificate.kind == .groupBetting)
        #expect(
            try JSONDecoder().decode(Certificate.self, from: JSONEncoder().encode(certificate)) == certificate)
    }

    @Test("what was shown of parts comes back as it was written")
    func parts() throws {
        let parts = Certificate.Parts(
            partition: .subgroups, demand: .each,
            members: [
                .init(name: "a", samples: 1000, harmfulFlips: 3, helpfulFlips: 20, isCertified: true),
                .init(name: "b", samples: 1121, harmfulFlips: 5, helpfulFlips: 5, isCertified: false),
            ])
        let certificate = Certificate(
            kind: .pairedExactTrinomial, reference: .exit(2), allowedGap: 0.01, failureProbability: 0.1, uses: 4,
            samples: 2121, harmfulFlips: 8, helpfulFlips: 25, disagreements: 40, pValue: 0.02, candidatesTested: 1,
            order: "given", certifyUses: 5, speedUp: 2, parts: parts)
        #expect(certificate.level == 0.025 && certificate.isOverused)
        let data = try JSONEncoder().encode(certificate)
        #expect(try JSONDecoder().decode(Certificate.self, from: data) == certificate)
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(object["reference"] as? Int == 2 && object["disagreements"] as? Int == 40)
        let written = try #require(object["parts"] as? [String: Any])
        #expect(written["partition"] as? String == "subgroups" && written["demand"] as? String == "each")
        let members = try #require(written["members"] as? [[String: Any]])
        #expect(
            members.allSatisfy {
                Set($0.keys) == ["name", "samples", "harmfulFlips", "helpfulFlips", "isCertified"]
            })
    }

    @Test("disagreement that is not allowed at all is refused: no finite sample shows it")
    func noDisagreement() {
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(Certificate.self, from: Self.json(["kind": "\"disagreement\""]))
        }
    }

    @Test("a p-value above the level that uses leave is refused")
    func pValueAboveLevel() throws {
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(Certificate.self, from: Self.json(["uses": "26"]))
        }
        #expect(try JSONDecoder().decode(Certificate.self, from: Self.json(["uses": "25"])).uses == 25)
    }

    @Test("a reference is the final layer or the number of an exit", arguments: [("\"final\"", 4), ("0", 0), ("3", 3)])
    func reference(text: String, index: Int) throws {
        let certificate = try JSONDecoder().decode(Certificate.self, from: Self.json(["reference": text]))
        #expect(certificate.reference.index(exitCount: 5) == index)
    }

    @Test("every kind of the format has its name")
    func kinds() throws {
        let names = [
            "paired-exact-binomial", "paired-exact-trinomial", "paired-betting", "group-betting", "sequence-betting",
            "disagreement",
        ]
        #expect(Certificate.Kind.allCases.map(\.rawValue) == names)
        for name in names {
            let data = Self.json(["kind": "\"\(name)\"", "allowedGap": "0.1"])
            #expect(try JSONDecoder().decode(Certificate.self, from: data).kind.rawValue == name)
        }
    }

    @Test(
        "a number that is not finite or out of its range is refused, and the message names the key",
        arguments: [
            ("allowedGap", "-0.01"), ("allowedGap", "1.5"), ("failureProbability", "0"), ("failureProbability", "1"),
            ("samples", "0"), ("samples", "-5"), ("samples", "30"), ("harmfulFlips", "-1"), ("helpfulFlips", "-1"),
            ("helpfulFlips", "2114"), ("pValue", "-0.1"), ("pValue", "0.0500001"), ("pValue", "1.2"),
            ("candidatesTested", "0"), ("certifyUses", "0"), ("speedUp", "0"), ("speedUp", "-2"), ("uses", "0"),
            ("disagreements", "-1"), ("disagreements", "2122"),
        ])
    func outOfRange(key: String, value: String) {
        do {
            let certificate = try JSONDecoder().decode(Certificate.self, from: Self.json([key: value]))
            Issue.record("was read as \(certificate)")
        } catch DecodingError.dataCorrupted(let context) {
            // 30 samples are too few for 8 + 25 flips: there the key at fault is the second count.
            let expected = value == "30" ? "helpfulFlips" : key
            #expect(context.codingPath.last?.stringValue == expected)
            #expect(context.debugDescription.contains(expected) && context.debugDescription.contains("expected"))
        } catch {
            Issue.record("not the error that says what was expected: \(error)")
        }
    }

    @Test(
        "numbers that JSON cannot hold, fractions of a count, unknown names and missing keys are refused",
        arguments: [
            ("pValue", "1e999"), ("speedUp", "1e999"), ("speedUp", "\"inf\""), ("pValue", "null"), ("samples", "10.5"),
            ("kind", "\"paired-exact-binominal\""), ("order", "7"), ("reference", "\"other\""), ("reference", "-1"),
            ("reference", "1.5"), ("uses", "1.5"),
            ("parts", "{\"partition\": \"towns\", \"demand\": \"all\", \"members\": []}"),
        ])
    func malformed(key: String, value: String) {
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(Certificate.self, from: Self.json([key: value]))
        }
    }

    @Test("no key may be missing", arguments: Array(fields.keys))
    func missing(key: String) {
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(Certificate.self, from: Self.json([key: nil]))
        }
    }

    @Test("infinity is refused even where a decoder is told to let it through")
    func infinity() {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        for (key, value) in [("speedUp", "\"inf\""), ("pValue", "\"nan\""), ("allowedGap", "\"nan\"")] {
            #expect(throws: DecodingError.self) {
                try decoder.decode(Certificate.self, from: Self.json([key: value]))
            }
        }
    }
}
