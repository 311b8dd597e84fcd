import ArgumentParser
import FeatureCache
import Reports

extension Features {
    /// `beem features shard`
    struct Shard: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "shard",
            abstract: "Cut a cache by rows into several files with an index.",
            discussion: """
                Example: beem features shard features.safetensors --shards 4 --output parts.safetensors.index.json

                Every shard has the same number of samples, up to one, and is a cache by itself. The index is written last.
                """)

        @Argument(help: "The feature cache.", completion: .file(extensions: ["safetensors", "index.json"]))
        var features: String
        @Option(help: "How many files to write.")
        var shards: Int
        @OptionGroup var index: IndexOption
        @OptionGroup var printing: PrintingOptions

        func validate() throws {
            guard shards > 0 else { throw ValidationError("--shards is at least 1") }
        }

        func run() throws {
            let bar = ProgressBar("Cutting", isQuiet: printing.quiet || printing.json)
            let cache = try ShardedCache.cut(features, into: shards, index: index.output, progress: bar.show)
            try printing.print(ShardedCacheText(cache).text, json: cache)
            printing.note("Wrote \(cache.path) and its shards.")
            printing.suggest(NextCommand("features", "inspect", cache.path))
        }
    }
}
