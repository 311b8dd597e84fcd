import ArgumentParser
import Calibration
import Reports

/// `beem verify`: does a policy keep its promise on new labelled data?
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Hold a policy against new labelled samples: confirmed, contradicted or undecided.",
        discussion: """
            Example: beem verify checkpoints/movie-reviews/policy.json new-samples.safetensors

            Exit code 1 when the samples contradict the policy.
            """)

    @OptionGroup var input: PolicyArguments
    @OptionGroup var printing: PrintingOptions
    @Option(help: "The probability of a wrong verdict, for each direction.")
    var level = 0.05

    func validate() throws {
        guard level > 0, level < 1 else { throw ValidationError("--level lies between 0 and 1") }
    }

    func run() throws {
        let applied = try input.open()
        let rows = try applied.rows(of: input.split)
        try applied.cache.requireIndependence(of: rows)
        let outputs = try applied.outputs(rows: rows)
        let verification = Verification(applied, outputs: outputs, level: level)
        try printing.print(
            VerificationSummary(verification).text, json: VerificationJSON(verification))
        if verification.verdict == .contradicted { throw ExitCode(1) }
    }
}
