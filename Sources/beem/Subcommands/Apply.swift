import ArgumentParser
import Calibration
import ExitPolicy
import FeatureCache
import Foundation
import Reports
import Safetensors

/// `beem apply`: where each sample leaves.
struct Apply: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Decide for every sample of a cache where it leaves, and with which label.",
        discussion: """
            Example: beem apply checkpoints/movie-reviews/policy.json recipes/movie-reviews/features.safetensors \
            --split test

            With --json decisions are one array, of what --format jsonl has a line for each; with --output too, they go to \
            the file in its format, and --json tells what was written. Decisions are data: --quiet does not hold them back.
            """)

    /// How decisions are written.
    enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
        case csv
        case jsonl
    }

    @OptionGroup var input: PolicyArguments
    @Option(help: "csv or jsonl.")
    var format = OutputFormat.csv
    @Option(help: "Write to this file instead of standard output.", completion: .file(extensions: ["csv", "jsonl"]))
    var output: String?
    @OptionGroup var printing: PrintingOptions

    func run() throws {
        let applied = try input.open()
        let rows = try applied.rows(of: input.split)
        let decisions = applied.decisions(try applied.outputs(rows: rows))
        let table = DecisionTable(rows: rows, decisions: decisions)
        let text = format == .csv ? table.csv : table.jsonLines
        guard let output else {
            try StandardStreams.writeOutput(Data((printing.json ? table.jsonArray : text).utf8))
            return
        }
        try AtomicFile.write(Data(text.utf8), to: output)
        let written = WrittenDecisions(
            file: output, format: format.rawValue, decisions: decisions, exitCount: applied.policy.exits.count)
        try printing.print("", json: written)
        printing.note("Wrote \(output): \(Format.count(decisions.count)) decisions.")
        let isUnseen = (try? applied.requireUnseen(input.split)) != nil
        printing.suggest(input.next("verify", split: isUnseen ? input.split : .test))
    }
}

/// A policy and the features, or outputs, it is applied to.
struct PolicyArguments: ParsableArguments {
    @Argument(help: "The policy.", completion: .file(extensions: ["json"]))
    var policy: String
    @Argument(
        help: "The feature cache, or, for a policy of exits that were trained elsewhere, their outputs.",
        completion: .file(extensions: ["safetensors", "index.json", "csv", "tsv"]))
    var features: String
    @OptionGroup var data: PolicyDataOptions

    var recipe: String? { data.recipe }
    var heads: String? { data.heads }
    var split: Split? { data.split }

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
    func openQuietly() throws(InputError) -> AppliedPolicy { try data.open(policy: policy, features: features) }
}

/// How to read what a policy is applied to.
struct PolicyDataOptions: ParsableArguments {
    @Option(
        help: "Read a table of outputs with the columns of this recipe.",
        completion: .file(extensions: ["yaml", "yml"]))
    var recipe: String?
    @Option(
        help: "Read the heads from this file instead of where the policy says.",
        completion: .file(extensions: ["safetensors"]))
    var heads: String?
    @Option(help: "Use this split only: train, tune, certify or test.")
    var split: Split?

    /// Opens a policy and what it is applied to.
    ///
    /// - Throws: `InputError` when a file is not what it should be, or they do not belong together.
    func open(policy: String, features: String) throws(InputError) -> AppliedPolicy {
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

    /// The names, not the codes that files have for them.
    public static var allValueStrings: [String] { allCases.map(\.description) }

    /// The names need no explanation.
    public static var allValueDescriptions: [String: String] { [:] }
}
