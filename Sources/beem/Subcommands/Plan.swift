import ArgumentParser
import Calibration
import ExitPolicy
import Reports
import RiskControl
import Safetensors

/// `beem plan`: how many labelled samples a certificate takes, or what so many can certify.
struct Plan: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "How many labelled samples it takes to certify a gap, or what a given number can certify.",
        discussion: """
            Example: beem plan --harmful 0.02 --helpful 0.03
            Example: beem plan --policy checkpoints/movie-reviews/policy.json --samples 2000

            Flip rates are those of the policy: harmful, early wrong and final right; helpful, the other way round. With \
            --policy they are those counted on its test split.
            """)

    @Option(help: "Take the flip rates of this policy's test split.", completion: .file(extensions: ["json"]))
    var policy: String?
    @Option(help: "The rate of harmful flips, a fraction.")
    var harmful: Double?
    @Option(help: "The rate of helpful flips, a fraction.")
    var helpful: Double?
    @Option(help: "Say what so many certify samples can show, instead of how many it takes.")
    var samples: Int?
    @Option(help: "The probability with which the certificate is to be had.")
    var power = 0.8
    @Option(help: "The certificate's failure probability.")
    var failureProbability = 0.05
    @Option(help: "Plan for this gap too, a fraction.")
    var allowedGap: Double?
    @OptionGroup var printing: PrintingOptions

    func validate() throws {
        guard (policy == nil) != (harmful == nil && helpful == nil) else {
            throw ValidationError("give --policy, or --harmful and --helpful")
        }
        if policy == nil {
            guard let harmful, let helpful, harmful >= 0, helpful >= 0, harmful + helpful <= 1 else {
                throw ValidationError("--harmful and --helpful are fractions whose sum is at most 1; both are needed")
            }
        }
        guard failureProbability > 0, failureProbability < power, power < 1 else {
            throw ValidationError("--failure-probability lies above 0 and below --power, and --power below 1")
        }
        if let allowedGap, !(0..<1).contains(allowedGap) {
            throw ValidationError("--allowed-gap is a fraction in 0..<1")
        }
        if let samples, samples < 1 { throw ValidationError("--samples is at least 1") }
    }

    func run() throws {
        let report = PlanReport(
            rates: try rates(), samples: samples, allowedGap: allowedGap,
            plan: SampleSizePlan(level: failureProbability, power: power))
        try printing.print(report.text, json: report)
        printing.suggest(next(after: report))
    }

    /// What as many samples as the smallest gap takes can show.
    private func next(after report: PlanReport) -> NextCommand? {
        guard samples == nil, let needed = report.lines.compactMap(\.samples).first else { return nil }
        return NextCommand("plan").with("--policy", policy).with("--harmful", harmful).with("--helpful", helpful)
            .with("--power", power == 0.8 ? nil : power)
            .with("--failure-probability", failureProbability == 0.05 ? nil : failureProbability)
            .with("--allowed-gap", allowedGap).with("--samples", needed)
    }

    private func rates() throws(InputError) -> FlipRates {
        guard let policy else { return FlipRates(harmful: harmful!, helpful: helpful!) }
        let read = try Policy(reading: policy)
        PrintingOptions.warnOfOveruse(read.certificate)
        return try FlipRates(onTestOf: read, file: policy)
    }
}
