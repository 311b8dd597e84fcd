import ArgumentParser
import Calibration
import ExitPolicy
import ExitRules
import Foundation
import Reports
import Safetensors

/// `beem certify`: one test of a policy that was fixed elsewhere.
struct Certify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Certify a policy that was fixed elsewhere, thresholds set by hand say, by one test at the full level.",
        discussion: """
            Example: beem certify policy.json new-samples.safetensors --allowed-gap 0.01 --output certified.json

            The samples must have played no part in choosing the policy. The use is written down in certify-log.jsonl \
            beside the policy's folder.
            """)

    @OptionGroup var input: PolicyArguments
    @OptionGroup var printing: PrintingOptions
    @Option(help: "The largest risk gap accepted, a fraction; 0.01 is one point.")
    var allowedGap = 0.0
    @Option(help: "The probability of certifying a policy that is worse than allowed.")
    var failureProbability = 0.05
    @Option(help: "The exit that the policy is compared with, from 0; the final layer where it is not given.")
    var reference: Int?
    @Option(help: "What counts against the policy: error or disagreement.")
    var loss = PolicyLoss.error
    @Option(help: "The largest group of samples that can occur; the largest of these where it is not given.")
    var maxGroupSize: Int?
    @Option(help: "How many uses of these samples the failure probability is divided over.")
    var uses = 1
    @Option(help: "Write the policy with its certificate to this file.", completion: .file(extensions: ["json"]))
    var output: String?
    @Flag(help: "End with exit code 1 when the policy could not be certified.")
    var requireCertificate = false

    func validate() throws {
        guard (0..<1).contains(allowedGap) else { throw ValidationError("--allowed-gap is a fraction in 0..<1") }
        guard failureProbability > 0, failureProbability < 1 else {
            throw ValidationError("--failure-probability lies between 0 and 1")
        }
        guard uses >= 1 else { throw ValidationError("--uses is at least 1") }
        if loss == .disagreement, allowedGap == 0 {
            throw ValidationError("--loss disagreement needs an --allowed-gap above 0")
        }
        if let reference, reference < 0 { throw ValidationError("--reference is the number of an exit, from 0") }
        if let maxGroupSize, maxGroupSize < 1 { throw ValidationError("--max-group-size is at least 1") }
    }

    func run() throws {
        let applied = try input.openQuietly()
        try applied.requireUnseen(input.split)
        let rows = try applied.rows(of: input.split)
        let size = try applied.maximumGroupSize(rows: rows, declared: maxGroupSize)
        let outputs = try applied.outputs(rows: rows)
        let guarantee = Recipe.Guarantee(
            allowedGap: allowedGap, failureProbability: failureProbability,
            reference: reference.map(Recipe.ReferenceChoice.exit) ?? .final, loss: loss, uses: uses)
        let usage = try CertifyLog(besidePolicy: input.policy).record(applied, rows: rows, guarantee: guarantee)
        let certification = try PolicyCertification(
            applied, outputs: outputs, guarantee: guarantee, certifyUses: usage.uses, maximumGroupSize: size)
        if let output { try certification.policy.write(to: output) }
        try printing.print(
            CertificationSummary(certification).text, json: CertificationJSON(certification))
        usage.warnings(planned: uses).forEach(PrintingOptions.warn)
        if let output { printing.note("Wrote \(output).") }
        printing.suggest(next(after: certification, of: applied, isGrouped: size > 1))
        if certification.policy.certificate == nil, requireCertificate { throw ExitCode(1) }
    }
}

extension Certify {
    /// Decisions of a certified policy; how many samples it takes where the test did not reject.
    private func next(
        after certification: PolicyCertification, of applied: AppliedPolicy, isGrouped: Bool
    ) -> NextCommand? {
        let counts = certification.counts
        guard certification.policy.certificate == nil else {
            return input.next("apply", policy: output, heads: headsElsewhere(applied), split: input.split)
                .with("--output", "decisions.csv")
        }
        guard !isGrouped, loss == .error, counts.samples > 0 else { return nil }
        let samples = Double(counts.samples)
        return NextCommand("plan").with("--harmful", Double(counts.harmfulFlips) / samples)
            .with("--helpful", Double(counts.helpfulFlips) / samples)
            .with("--failure-probability", failureProbability / Double(uses))
            .with("--allowed-gap", allowedGap > 0 ? allowedGap : nil)
    }

    /// The heads' file, where the policy that was written stands in another folder.
    private func headsElsewhere(_ applied: AppliedPolicy) -> String? {
        guard let output, case .heads(let heads, _, _) = applied.exits else { return nil }
        func folder(_ path: String) -> String {
            URL(fileURLWithPath: path).deletingLastPathComponent().standardized.path
        }
        return folder(output) == folder(input.policy) ? nil : heads.file
    }
}

extension PolicyLoss: ExpressibleByArgument {}
