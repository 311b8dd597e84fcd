import Testing

@testable import Evaluation

@Suite("A reliability diagram")
struct ReliabilityDiagramTests {
    @Test("has the mean distance of confidence and accuracy over bins, weighted by samples, as its calibration error")
    func byHand() {
        // Bins of 1/2: {0.2 wrong, 0.4 right} and {0.6 right, 0.8 right, 1.0 wrong}.
        // First: confidence 0.3, accuracy 0.5, difference 0.2; second: 0.8 against 2/3, 0.1333. (2*0.2 + 3*0.1333)/5
        let diagram = ReliabilityDiagram(
            confidences: [0.2, 0.4, 0.6, 0.8, 1.0], isCorrect: [false, true, true, true, false], bins: 2)
        #expect(abs(diagram.expectedCalibrationError - 0.16) < 1e-7)
        #expect(diagram.bins.map(\.samples) == [2, 3] && diagram.bins.map(\.correct) == [1, 2])
        #expect(abs(diagram.bins[1].meanConfidence - 0.8) < 1e-7 && diagram.bins[0].accuracy == 0.5)
    }

    @Test("has none where every bin's confidence is its accuracy")
    func calibrated() {
        let confidences = [Float](repeating: 0.75, count: 8)
        let isCorrect = [true, true, true, false, true, true, true, false]
        #expect(ReliabilityDiagram(confidences: confidences, isCorrect: isCorrect).expectedCalibrationError == 0)
        #expect(ReliabilityDiagram(confidences: [], isCorrect: []).expectedCalibrationError == 0)
    }

    @Test("takes confidences that are no probabilities without a crash")
    func outside() {
        let diagram = ReliabilityDiagram(confidences: [-0.5, 1.5], isCorrect: [false, true])
        #expect(abs(diagram.expectedCalibrationError - 0.5) < 1e-7)
        #expect(diagram.bins[0].samples == 1 && diagram.bins[14].samples == 1)
    }
}
