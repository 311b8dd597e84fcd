import Evaluation
import Statistics

/// A bin of a reliability diagram that has samples.
public struct ReliabilityPoint: Codable, Equatable, Sendable {
    /// The bin's lower edge, a confidence.
    public var lower: Double
    /// The bin's upper edge.
    public var upper: Double
    /// How many samples it has.
    public var samples: Int
    /// Their mean confidence.
    public var confidence: Double
    /// The fraction of them that is right.
    public var accuracy: Double
    /// The exact two-sided 95 % interval of that fraction: [lower, upper].
    public var interval: [Double]

    /// The bins of a diagram that have samples.
    static func all(_ diagram: ReliabilityDiagram) -> [ReliabilityPoint] {
        let count = Double(diagram.bins.count)
        return diagram.bins.enumerated().compactMap { index, bin in
            guard bin.samples > 0 else { return nil }
            let interval = BinomialInterval(successes: bin.correct, trials: bin.samples)
            return ReliabilityPoint(
                lower: Double(index) / count, upper: Double(index + 1) / count, samples: bin.samples,
                confidence: bin.meanConfidence, accuracy: bin.accuracy, interval: [interval.lower, interval.upper])
        }
    }
}
