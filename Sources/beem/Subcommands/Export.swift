import ArgumentParser
import Calibration
import ExitHeads
import FeatureCache
import Safetensors

/// `beem export`: heads for the backbone's own features.
struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write heads for serving; with --full-width, for the backbone's features before compression.",
        discussion: """
            Example: beem export checkpoints/movie-reviews/policy.json recipes/movie-reviews/features.safetensors \
            --full-width --output heads-768.safetensors
            """)

    @Argument(help: "The policy whose heads are exported.", completion: .file(extensions: ["json"]))
    var policy: String
    @Argument(help: "The compressed cache that holds the projections.", completion: .file(extensions: ["safetensors"]))
    var features: String
    @Option(help: "Read the heads from this file instead of where the policy says.", completion: .file())
    var heads: String?
    @Flag(help: "Multiply the stored projection in, so that heads read the backbone's features.")
    var fullWidth = false
    @Option(help: "The file to write.", completion: .file())
    var output: String

    func run() throws {
        let applied = try AppliedPolicy(policyFile: policy, data: features, headsFile: heads)
        PrintingOptions.warnOfOveruse(applied.policy.certificate)
        let heads = fullWidth ? try applied.fullWidthHeads() : try applied.heads()
        try heads.write(to: output)
        StandardStreams.writeMessage("Wrote \(output).\n")
    }
}
