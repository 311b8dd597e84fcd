import RiskControl

/// What `beem plan` tells, as text and as JSON.
public struct PlanReport: Encodable, Sendable {
    /// One allowed gap.
    public struct Line: Encodable, Equatable, Sendable {
        /// The gap, a fraction.
        public var allowedGap: Double
        /// How many samples: those that it takes, or those that there are; nil when no number will do.
        public var samples: Int?
        /// The probability of a certificate with so many.
        public var power: Double?
        /// Whether the numbers are those of the normal approximation.
        public var isApproximate: Bool
    }

    /// The rate of harmful flips.
    public let harmful: Double
    /// The rate of helpful flips.
    public let helpful: Double
    /// The certificate's failure probability.
    public let failureProbability: Double
    /// The power asked for.
    public let power: Double
    /// How many samples there are, where that was given.
    public let samples: Int?
    /// The smallest gap that so many samples certify with the power asked for; nil when there is none, or no number was
    /// given.
    public let smallestAllowedGap: Double?
    /// Gap by gap.
    public let lines: [Line]

    /// Computes the plan.
    public init(rates: FlipRates, samples: Int?, allowedGap: Double?, plan: SampleSizePlan) {
        harmful = rates.harmful
        helpful = rates.helpful
        failureProbability = plan.level
        power = plan.power
        self.samples = samples
        let gaps = Set(SampleSizePlan.usualGaps + (allowedGap.map { [$0] } ?? [])).sorted()
        if let samples {
            smallestAllowedGap = plan.smallestAllowedGap(samples: samples, rates: rates)?.allowedGap
            lines = plan.powers(samples: samples, rates: rates, allowedGaps: gaps).map {
                Line(
                    allowedGap: $0.allowedGap, samples: samples, power: $0.power, isApproximate: $0.isApproximate)
            }
        } else {
            smallestAllowedGap = nil
            lines = gaps.map { gap in
                switch plan.samples(for: rates, allowedGap: gap) {
                case .needed(let design):
                    Line(
                        allowedGap: gap, samples: design.samples, power: design.power,
                        isApproximate: design.isApproximate)
                case .moreThan, .impossible:
                    Line(allowedGap: gap, samples: nil, power: nil, isApproximate: false)
                }
            }
        }
    }

    /// A table and a sentence.
    public var text: String {
        var table = TextTable([
            ("allowed gap (points)", .right), ("certify samples", .right), ("power", .right),
        ])
        for line in lines {
            table.add([
                Format.short(100 * line.allowedGap),
                line.samples.map { (line.isApproximate ? "about " : "") + Format.count($0) } ?? "no number will do",
                line.power.map(Format.percent) ?? "-",
            ])
        }
        return """
            Harmful flips \(Format.percent(harmful)), helpful \(Format.percent(helpful)): a gap of \
            \(Format.points(harmful - helpful)) points; failure probability \(Format.short(failureProbability))

            """ + table.text + "\n" + sentence
    }

    private var sentence: String {
        guard let samples else {
            return "So many labelled samples, used for nothing else, certify that gap with a power of at least "
                + "\(Format.short(100 * power)) %, if the flip rates are right.\n"
        }
        guard let smallestAllowedGap else {
            return "\(Format.count(samples)) samples certify no gap with a power of \(Format.short(100 * power)) %.\n"
        }
        return
            "\(Format.count(samples)) samples certify a gap of \(Format.short(100 * smallestAllowedGap)) points or more "
            + "with a power of at least \(Format.short(100 * power)) %, if the flip rates are right.\n"
    }
}
