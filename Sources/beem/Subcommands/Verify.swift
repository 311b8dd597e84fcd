import ArgumentParser
import Calibration
import ExitPolicy
import Reports
import RiskControl

/// `beem verify`: does a policy keep its promise on new labelled data?
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Hold a policy against new labelled samples: confirmed, contradicted or undecided.",
        discussion: """
            Example: beem verify checkpoints/movie-reviews/policy.json new-samples.safetensors

            Exit code 1 when the samples contradict the policy.
            """)

    @OptionGroup var input: PolicyArguments
    @OptionGroup var printing: PrintingOptions
    @Option(help: "The probability of a wrong verdict, for each direction.")
    var level = 0.05

    @Option(help: "The largest group of samples that can occur; the largest of these where it is not given.")
    var maxGroupSize: Int?

    func validate() throws {
        guard level > 0, level < 1 else { throw ValidationError("--level lies between 0 and 1") }
    }

    func run() throws {
        let applied = try input.open()
        try applied.policy.requireCertificateOfLabels(file: input.policy)
        do {
            try applied.requireUnseen(input.split)
        } catch {
            PrintingOptions.warn("\(error)")
        }
        let rows = try applied.rows(of: input.split)
        let verification = Verification(
            applied, outputs: try applied.outputs(rows: rows), level: level,
            maximumGroupSize: try applied.maximumGroupSize(rows: rows, declared: maxGroupSize))
        try printing.print(
            VerificationSummary(verification).text, json: VerificationJSON(verification))
        printing.suggest(next(after: verification.verdict, of: applied.policy))
        if verification.verdict == .contradicted { throw ExitCode(1) }
    }

    /// Decisions where the policy is confirmed; how many samples it takes where it is undecided.
    private func next(after verdict: Verification.Verdict, of policy: Policy) -> NextCommand? {
        switch verdict {
        case .confirmed: return input.next("apply", split: input.split).with("--output", "decisions.csv")
        case .undecided:
            guard (try? FlipRates(onTestOf: policy, file: input.policy)) != nil else { return nil }
            return NextCommand("plan").with("--policy", input.policy)
        case .contradicted: return nil
        }
    }
}
