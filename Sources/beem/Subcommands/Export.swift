import ArgumentParser
import Calibration
import ExitHeads
import FeatureCache
import Safetensors

/// `beem export`: heads for the backbone's own features.
struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write heads for serving; with --full-width, for the backbone's features before compression.",
        discussion: """
            Example: beem export checkpoints/movie-reviews/policy.json recipes/movie-reviews/features.safetensors \
            --full-width --output heads-768.safetensors
            """)

    @Argument(help: "The policy whose heads are exported.", completion: .file(extensions: ["json"]))
    var policy: String
    @Argument(
        help: "The compressed cache that holds the projections.",
        completion: .file(extensions: ["safetensors", "index.json"]))
    var features: String
    @Option(
        help: "Read the heads from this file instead of where the policy says.",
        completion: .file(extensions: ["safetensors"]))
    var heads: String?
    @Flag(help: "Multiply the stored projection in, so that heads read the backbone's features.")
    var fullWidth = false
    @Option(help: "The file to write.", completion: .file(extensions: ["safetensors"]))
    var output: String
    @OptionGroup var printing: PrintingOptions

    func run() throws {
        let applied = try AppliedPolicy(policyFile: policy, data: features, headsFile: heads)
        PrintingOptions.warnOfOveruse(applied.policy.certificate)
        let written = fullWidth ? try applied.fullWidthHeads() : try applied.heads()
        try written.write(to: output)
        let told = try WrittenHeads(written, file: output)
        try printing.print("", json: told)
        printing.note("Wrote \(output).")
        // Serving code that reads these heads should decide like this.
        let hasTest = (try? applied.rows(of: .test)) != nil
        printing.suggest(
            NextCommand("apply", policy, features).with("--heads", heads).with("--split", hasTest ? "test" : nil)
                .with("--output", "decisions.csv"))
    }
}
