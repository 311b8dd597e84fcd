import ExitRules
import Foundation
import Testing

@Suite("From logits to labels and confidences")
struct PredictionTests {
    struct Golden: Decodable {
        var cases: [Case]

        struct Case: Decodable {
            var logits: [Double]
            var temperature: Double
            var label: Int32
            var maxProbability: Double
            var margin: Double
            var entropy: Double

            enum CodingKeys: String, CodingKey {
                case logits, temperature, label, margin, entropy
                case maxProbability = "max-probability"
            }
        }

        static let values: Golden = {
            let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("Resources/golden.json")
            return try! JSONDecoder().decode(Golden.self, from: Data(contentsOf: file))
        }()
    }

    private func prediction(
        _ logits: [Float], temperature: Double = 1, measure: ConfidenceMeasure = .maxProbability
    ) -> Prediction {
        logits.withUnsafeBufferPointer { Prediction(logits: $0, temperature: temperature, measure: measure) }
    }

    /// The softmax as it is written in books, in Double.
    private func plainConfidence(_ logits: [Float], temperature: Double, measure: ConfidenceMeasure) -> Double {
        let scaled = logits.map { Double($0) / temperature }
        let top = scaled.max()!
        let exponentials = scaled.map { exp($0 - top) }
        let sum = exponentials.reduce(0, +)
        let probabilities = exponentials.map { $0 / sum }
        let sorted = probabilities.sorted(by: >)
        switch measure {
        case .maxProbability: return sorted[0]
        case .margin: return logits.count == 1 ? 1 : sorted[0] - sorted[1]
        case .entropy:
            let entropy = probabilities.reduce(0) { $1 > 0 ? $0 - $1 * log($1) : $0 }
            return logits.count == 1 ? 1 : 1 - entropy / log(Double(logits.count))
        }
    }

    /// Whether a Float32 is the rounded value of a Double that is itself known to about 1e-15.
    private func isRounded(_ value: Float, of exact: Double) -> Bool {
        abs(Double(value) - exact) <= 0.5 * Double(Float(exact).ulp) + 4e-15
    }

    @Test("labels and all three confidences agree with SciPy, rounded to Float32")
    func golden() {
        #expect(Golden.values.cases.count > 80)
        for row in Golden.values.cases {
            let logits = row.logits.map { Float($0) }
            for (measure, expected) in [
                (ConfidenceMeasure.maxProbability, row.maxProbability), (.margin, row.margin), (.entropy, row.entropy),
            ] {
                let found = prediction(logits, temperature: row.temperature, measure: measure)
                #expect(found.label == row.label)
                #expect(isRounded(found.confidence, of: expected), "\(measure) of \(logits): \(found), not \(expected)")
            }
        }
    }

    @Test("all three confidences agree with the softmax of the books on random logits", arguments: [0.2, 1, 3.5])
    func plain(temperature: Double) {
        var generator = TestGenerator(seed: 5)
        for _ in 0..<1000 {
            let classes = Int.random(in: 1...12, using: &generator)
            let logits = (0..<classes).map { _ in Float.random(in: -8...8, using: &generator) }
            for measure in ConfidenceMeasure.allCases {
                let found = prediction(logits, temperature: temperature, measure: measure)
                let expected = plainConfidence(logits, temperature: temperature, measure: measure)
                #expect(isRounded(found.confidence, of: expected), "\(measure) of \(logits)")
            }
        }
    }

    @Test("the label is the first of equal largest logits")
    func ties() {
        #expect(prediction([1, 5, 5, 2]).label == 1)
        #expect(prediction([0, 0, 0]).label == 0)
        #expect(prediction([-3]).label == 0)
        #expect(prediction([-1, -2, -0.5]).label == 2)
    }

    @Test("confidences stay in 0...1, at one class, at equal and nearly equal logits, and at huge ones")
    func range() {
        var generator = TestGenerator(seed: 6)
        for measure in ConfidenceMeasure.allCases {
            #expect(prediction([4], measure: measure).confidence == 1)
            for scale in [0, 1e-30, 1e-7, 1e-4, 1, 1e4, 1e30] as [Float] {
                for _ in 0..<300 {
                    let classes = Int.random(in: 2...9, using: &generator)
                    let logits = (0..<classes).map { _ in scale * Float.random(in: -1...1, using: &generator) }
                    let confidence = prediction(logits, measure: measure).confidence
                    #expect((0...1).contains(confidence), "\(measure) of \(logits): \(confidence)")
                }
            }
        }
        #expect(prediction([2, 2], measure: .maxProbability).confidence == 0.5)
        #expect(prediction([2, 2], measure: .margin).confidence == 0)
        #expect(prediction([2, 2], measure: .entropy).confidence == 0)
    }

    @Test("every measure rises with the lead of the largest logit")
    func rises() {
        for measure in ConfidenceMeasure.allCases {
            let confidences = (0..<40).map { prediction([Float($0) / 8, 0, -1], measure: measure).confidence }
            #expect(zip(confidences, confidences.dropFirst()).allSatisfy(<))
        }
    }

    @Test("a temperature above 1 lowers confidence and leaves the label")
    func temperature() {
        let plain = prediction([2, 1, -1])
        let cooled = prediction([2, 1, -1], temperature: 3)
        #expect(cooled.label == plain.label && cooled.confidence < plain.confidence)
    }

    @Test("measures have their names in files")
    func names() {
        #expect(ConfidenceMeasure.allCases.map(\.rawValue) == ["max-probability", "margin", "entropy"])
    }
}
