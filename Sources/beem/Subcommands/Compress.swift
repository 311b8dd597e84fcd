import ArgumentParser
import FeatureCache
import Reports
import Safetensors

extension Features {
    /// `beem features compress`
    struct Compress: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "compress",
            abstract: "Project features on the leading principal components of the stored train split.",
            discussion: """
                Example: beem features compress full.safetensors --components 128 --output features.safetensors

                The projection is stored in the new cache; `beem export --full-width` multiplies it into the heads.
                """)

        @Argument(
            help: "The cache to compress; its train split is stored.",
            completion: .file(extensions: ["safetensors", "index.json"]))
        var features: String
        @Option(help: "How many components to keep for each exit.")
        var components = 128
        @OptionGroup var target: CacheOption
        @OptionGroup var printing: PrintingOptions

        func validate() throws {
            guard components > 0 else { throw ValidationError("--components is at least 1") }
        }

        func run() throws {
            let cache = try FeatureCache(opening: features)
            let bar = ProgressBar("Compressing", isQuiet: printing.quiet || printing.json)
            let result = try FeatureCompressor(components: components).compress(
                cache, to: target.output, progress: bar.show)
            try printing.print(
                CompressionText(result, names: cache.exitNames).text, json: CompressionJSON(result, file: target.output)
            )
            printing.note("Wrote \(target.output).")
            printing.suggest(NextCommand("features", "inspect", target.output))
        }
    }
}
