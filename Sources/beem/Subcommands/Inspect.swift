import ArgumentParser
import FeatureCache
import Reports

extension Features {
    /// `beem features inspect`
    struct Inspect: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "inspect",
            abstract: "Show what a feature cache holds, and check every value in it.",
            discussion: "Example: beem features inspect recipes/movie-reviews/features.safetensors")

        @Argument(help: "The feature cache.", completion: .file(extensions: ["safetensors", "index.json"]))
        var features: String
        @OptionGroup var printing: PrintingOptions

        func run() throws {
            let summary = try FeatureCache(opening: features).summary
            try printing.print(CacheSummaryText(summary).text, json: summary)
            printing.suggest(NextCommand(preparing: summary))
        }
    }
}
