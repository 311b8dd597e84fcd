import ArgumentParser
import Calibration
import ExitPolicy
import FeatureCache
import Foundation
import Safetensors

/// `beem apply`: where each sample leaves.
struct Apply: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Decide for every sample of a cache where it leaves, and with which label.",
        discussion: """
            Example: beem apply checkpoints/movie-reviews/policy.json recipes/movie-reviews/features.safetensors \
            --split test
            """)

    /// How decisions are written.
    enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
        case csv
        case jsonl
    }

    @OptionGroup var input: PolicyArguments
    @Option(help: "csv or jsonl.")
    var format = OutputFormat.csv
    @Option(help: "Write to this file instead of standard output.", completion: .file())
    var output: String?

    func run() throws {
        let applied = try input.open()
        let rows = try applied.rows(of: input.split)
        let decisions = applied.decisions(try applied.outputs(rows: rows))
        var text = format == .csv ? "sample,exit,label,score,cost\n" : ""
        for (row, decision) in zip(rows, decisions) { text += line(row, decision) }
        if let output {
            try AtomicFile.write(Data(text.utf8), to: output)
        } else {
            try StandardStreams.writeOutput(Data(text.utf8))
        }
    }

    private func line(_ row: Int, _ decision: ExitDecision) -> String {
        let label = decision.number.map { "\($0)" } ?? "\(decision.label)"
        return switch format {
        case .csv: "\(row),\(decision.exit),\(label),\(decision.score),\(decision.cost)\n"
        case .jsonl:
            """
            {"sample":\(row),"exit":\(decision.exit),"label":\(label),"score":\(decision.score),\
            "cost":\(decision.cost)}

            """
        }
    }
}

/// A policy and the features, or outputs, it is applied to.
struct PolicyArguments: ParsableArguments {
    @Argument(help: "The policy.", completion: .file(extensions: ["json"]))
    var policy: String
    @Argument(
        help: "The feature cache, or, for a policy of exits that were trained elsewhere, their outputs.",
        completion: .file(extensions: ["safetensors", "csv", "tsv"]))
    var features: String
    @Option(help: "Read a table of outputs with the columns of this recipe.", completion: .file(extensions: ["yaml"]))
    var recipe: String?
    @Option(help: "Read the heads from this file instead of where the policy says.", completion: .file())
    var heads: String?
    @Option(help: "Use this split only: train, tune, certify or test.")
    var split: Split?

    /// Opens everything, and says so when the policy has no certificate.
    func open() throws(InputError) -> AppliedPolicy {
        let applied = try openQuietly()
        if applied.policy.certificate == nil {
            PrintingOptions.warn("\(policy) has no certificate")
        }
        PrintingOptions.warnOfOveruse(applied.policy.certificate)
        return applied
    }

    /// Opens everything.
    func openQuietly() throws(InputError) -> AppliedPolicy {
        var columns = OutputColumns()
        if let recipe, case .outputs(let choice) = try Recipe(reading: recipe).data { columns = choice.columns }
        return try AppliedPolicy(policyFile: policy, data: features, headsFile: heads, columns: columns)
    }
}

extension Split: ExpressibleByArgument {
    /// The split of a name.
    public init?(argument: String) {
        guard let split = Split.allCases.first(where: { "\($0)" == argument }) else { return nil }
        self = split
    }
}
