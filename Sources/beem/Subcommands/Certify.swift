import ArgumentParser
import Calibration
import ExitPolicy
import ExitRules
import FeatureCache
import Foundation
import Reports
import Safetensors

/// `beem certify`: a policy that was fixed elsewhere, or candidates whose losses were measured elsewhere.
struct Certify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certify",
        abstract:
            "Certify a policy that was fixed elsewhere, thresholds set by hand say, or the fastest of a table of losses.",
        discussion: """
            Example: beem certify policy.json new-samples.safetensors --allowed-gap 0.01 --output certified.json

            The samples must have played no part in choosing the policy. Several gaps, --allowed-gap 0.02 0.01 0, are \
            tested from large to small until one fails, all at the full level. The use is written down in \
            certify-log.jsonl beside the policy's folder.

            Example: beem certify --losses losses.csv --allowed-gap 0.02 --unit image

            The table has the columns candidate, sample, split, loss, reference_loss and cost: bounded losses of whole \
            outputs, of any task. Tune samples order the candidates, certify samples test them in that order, and the \
            last that passed is certified: its mean loss is at most the reference's plus the allowed gap.
            """)

    @Argument(help: "The policy.", completion: .file(extensions: ["json"]))
    var policy: String?
    @Argument(
        help: "The feature cache, or, for a policy of exits that were trained elsewhere, their outputs.",
        completion: .file(extensions: ["safetensors", "index.json", "csv", "tsv"]))
    var features: String?
    @OptionGroup var data: PolicyDataOptions
    @OptionGroup var printing: PrintingOptions
    @Option(
        parsing: .upToNextOption,
        help: "The largest gap accepted, a fraction, 0.01 is one point; several are tested from large to small.")
    var allowedGap: [Double] = [0.0]
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
    @OptionGroup(title: "Losses that were measured elsewhere") var losses: LossOptions
    @Option(help: "Write the policy with its certificate to this file.", completion: .file(extensions: ["json"]))
    var output: String?
    @Flag(help: "End with exit code 1 when the policy could not be certified.")
    var requireCertificate = false

    func validate() throws {
        guard failureProbability > 0, failureProbability < 1 else {
            throw ValidationError("--failure-probability lies between 0 and 1")
        }
        guard uses >= 1 else { throw ValidationError("--uses is at least 1") }
        if let maxGroupSize, maxGroupSize < 1 { throw ValidationError("--max-group-size is at least 1") }
        guard Set(allowedGap).count == allowedGap.count else {
            throw ValidationError("--allowed-gap: different gaps, each is tested once")
        }
        if losses.losses != nil {
            try validateLosses()
        } else {
            try validatePolicy()
        }
    }

    private func validatePolicy() throws {
        guard policy != nil, features != nil else {
            throw ValidationError(
                "A policy and its samples are missing: beem certify POLICY FEATURES, or --losses TABLE")
        }
        try losses.requireUnused()
        guard allowedGap.allSatisfy((0..<1).contains) else {
            throw ValidationError("--allowed-gap is a fraction in 0..<1")
        }
        if loss == .disagreement, allowedGap.contains(0) {
            throw ValidationError("--loss disagreement needs an --allowed-gap above 0")
        }
        if let reference, reference < 0 { throw ValidationError("--reference is the number of an exit, from 0") }
    }

    private func validateLosses() throws {
        guard policy == nil else {
            throw ValidationError(
                "--losses names a table that has all there is; the certificate is written into --policies")
        }
        for (isGiven, name) in [
            (reference != nil, "--reference"), (loss != .error, "--loss"), (data.split != nil, "--split"),
            (data.heads != nil, "--heads"), (data.recipe != nil, "--recipe"),
        ] where isGiven {
            throw ValidationError("\(name) goes with a policy and its samples, not with --losses")
        }
        guard allowedGap.count == 1 else { throw ValidationError("--losses takes one --allowed-gap") }
        guard allowedGap[0] >= 0, allowedGap[0] < losses.range.upperBound - losses.range.lowerBound else {
            throw ValidationError("--allowed-gap is not negative, and below the range of the losses")
        }
        guard output == nil || losses.policies != nil else {
            throw ValidationError("--output needs --policies, which says where the candidates' policies are")
        }
        guard losses.policies == nil || output != nil else {
            throw ValidationError("--policies needs --output, the file for the policy with its certificate")
        }
    }

    func run() throws {
        if let table = losses.losses {
            try certifyLosses(table)
        } else if let policy, let features {
            try certify(policy, on: features)
        }
    }

    private func certify(_ policy: String, on features: String) throws {
        let applied = try data.open(policy: policy, features: features)
        try applied.requireUnseen(data.split)
        let rows = try applied.rows(of: data.split)
        let size = try applied.maximumGroupSize(rows: rows, declared: maxGroupSize)
        let outputs = try applied.outputs(rows: rows)
        let guarantee = Recipe.Guarantee(
            allowedGap: allowedGap[0], failureProbability: failureProbability,
            reference: reference.map(Recipe.ReferenceChoice.exit) ?? .final, loss: loss, uses: uses)
        let usage = try CertifyLog(besidePolicy: policy)
            .record(applied, rows: rows, guarantee: guarantee, gaps: allowedGap)
        let certification = try PolicyCertification(
            applied, outputs: outputs, guarantee: guarantee, gaps: allowedGap, certifyUses: usage.uses,
            maximumGroupSize: size)
        if let output { try certification.policy.write(to: output) }
        try printing.print(
            CertificationSummary(certification).text, json: CertificationJSON(certification))
        usage.warnings(planned: uses).forEach(PrintingOptions.warn)
        if let output { printing.note("Wrote \(output).") }
        printing.suggest(next(after: certification, of: applied, on: features, isGrouped: size > 1))
        if certification.policy.certificate == nil, requireCertificate { throw ExitCode(1) }
    }

    private func certifyLosses(_ path: String) throws {
        let table = try LossTable(reading: path, range: losses.range)
        let claim = losses.claim(
            allowedGap: allowedGap[0], failureProbability: failureProbability, uses: uses,
            maximumGroupSize: maxGroupSize)
        let usage = try CertifyLog(besideLosses: path).record(table, claim: claim)
        let certification = try LossCertification(table, claim: claim, certifyUses: usage.uses)
        if let output, let policies = losses.policies, let chosen = certification.chosen {
            var policy = try Policy(reading: LossOptions.policy(of: chosen, pattern: policies))
            policy.certificate = certification.certificate
            try policy.write(to: output)
        }
        try printing.print(
            LossCertificationSummary(certification).text, json: LossCertificationJSON(certification))
        usage.warnings(planned: uses).forEach(PrintingOptions.warn)
        if let output, certification.chosen != nil { printing.note("Wrote \(output).") }
        if certification.certificate == nil, requireCertificate { throw ExitCode(1) }
    }
}

extension Certify {
    /// Decisions of a certified policy; how many samples it takes where the test did not reject.
    private func next(
        after certification: PolicyCertification, of applied: AppliedPolicy, on features: String, isGrouped: Bool
    ) -> NextCommand? {
        let counts = certification.counts
        guard certification.policy.certificate == nil else {
            return data.next(
                "apply", policy: output ?? applied.policyFile, features: features, heads: headsElsewhere(applied),
                split: data.split
            ).with("--output", "decisions.csv")
        }
        guard !isGrouped, loss == .error, counts.samples > 0 else { return nil }
        let samples = Double(counts.samples)
        let gap = certification.guarantee.allowedGap
        return NextCommand("plan").with("--harmful", Double(counts.harmfulFlips) / samples)
            .with("--helpful", Double(counts.helpfulFlips) / samples)
            .with("--failure-probability", failureProbability / Double(uses))
            .with("--allowed-gap", gap > 0 ? gap : nil)
    }

    /// The heads' file, where the policy that was written stands in another folder.
    private func headsElsewhere(_ applied: AppliedPolicy) -> String? {
        guard let output, case .heads(let heads, _, _) = applied.exits else { return nil }
        func folder(_ path: String) -> String {
            URL(fileURLWithPath: path).deletingLastPathComponent().standardized.path
        }
        return folder(output) == folder(applied.policyFile) ? nil : heads.file
    }
}

extension PolicyLoss: ExpressibleByArgument {}
