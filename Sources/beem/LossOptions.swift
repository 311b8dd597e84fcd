import ArgumentParser
import Calibration
import RiskControl

/// Options of a table of losses.
struct LossOptions: ParsableArguments {
    @Option(
        help: "A table with candidate, sample, split, loss, reference_loss, cost; optionally group, reference_cost.",
        completion: .file(extensions: ["csv", "tsv"]))
    var losses: String?
    @Option(help: "What the loss is called, in the certificate.")
    var lossName: String?
    @Option(help: "What one sample is: image, sentence, ...")
    var unit: String?
    @Flag(help: "A sample is a whole sequence, of which the policy decides the parts.")
    var sequences = false
    @Option(help: "The smallest loss that there can be; 0 where it is not given.")
    var smallestLoss: Double?
    @Option(help: "The largest loss that there can be; 1 where it is not given.")
    var largestLoss: Double?
    @Option(help: "What a sample costs without early exit; else the table's reference_cost, or the dearest candidate.")
    var fullCost: Double?
    @Option(help: "How tune orders the candidates: \(Order.names.joined(separator: ", ")); given: as the table does.")
    var order: Order?
    @Option(help: "Draws the order in which the test takes the samples.")
    var seed: UInt64?
    @Option(help: "The candidates' policies, a pattern such as 'policies/{candidate}.json'; needs --output.")
    var policies: String?

    /// An order that tune makes, or that of the table.
    enum Order: ExpressibleByArgument {
        case made(CandidateOrder)
        case given

        static let names = CandidateOrder.allCases.map(\.rawValue) + ["given"]

        init?(argument: String) {
            if argument == "given" {
                self = .given
            } else if let order = CandidateOrder(rawValue: argument) {
                self = .made(order)
            } else {
                return nil
            }
        }

        static var allValueStrings: [String] { names }
    }

    /// In which every loss lies, in its own unit.
    var range: ClosedRange<Double> {
        let smallest = smallestLoss ?? 0
        return smallest...max(smallest, largestLoss ?? 1)
    }

    func validate() throws {
        if let fullCost, !(fullCost > 0 && fullCost.isFinite) { throw ValidationError("--full-cost is positive") }
        guard (smallestLoss ?? 0).isFinite, (largestLoss ?? 1).isFinite, (smallestLoss ?? 0) < largestLoss ?? 1 else {
            throw ValidationError("--smallest-loss is below --largest-loss, and both are finite")
        }
        if let policies, !policies.contains(Self.placeholder) {
            throw ValidationError("--policies is a pattern with \(Self.placeholder)")
        }
    }

    /// Refuses options that mean nothing without a table.
    func requireUnused() throws {
        for (isGiven, name) in [
            (lossName != nil, "--loss-name"), (unit != nil, "--unit"), (sequences, "--sequences"),
            (smallestLoss != nil, "--smallest-loss"), (largestLoss != nil, "--largest-loss"),
            (fullCost != nil, "--full-cost"), (order != nil, "--order"), (seed != nil, "--seed"),
            (policies != nil, "--policies"),
        ] where isGiven {
            throw ValidationError("\(name) goes with --losses")
        }
    }

    /// What is to be shown of the table; options that were left out have their defaults.
    func claim(
        allowedGap: Double, failureProbability: Double, uses: Int, maximumGroupSize: Int?
    ) -> LossCertification.Claim {
        let order: CandidateOrder? =
            switch self.order {
            case .given: nil
            case .made(let order): order
            case nil: .standard
            }
        return LossCertification.Claim(
            allowedGap: allowedGap, failureProbability: failureProbability, uses: uses, range: range, order: order,
            maximumGroupSize: maximumGroupSize, fullCost: fullCost, name: lossName ?? "loss",
            unit: unit ?? (sequences ? "sequence" : "sample"), isOfSequences: sequences, seed: seed ?? 0)
    }

    private static let placeholder = "{candidate}"

    /// The policy of a candidate.
    static func policy(of candidate: String, pattern: String) -> String {
        pattern.replacingOccurrences(of: placeholder, with: candidate)
    }
}
