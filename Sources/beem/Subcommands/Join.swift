import ArgumentParser
import FeatureCache
import Reports

extension Features {
    /// `beem features join`
    struct Join: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "join",
            abstract: "Write the index of caches that hold rows of one, so that they are read as one.",
            discussion: """
                Example: beem features join jobs-1.safetensors jobs-2.safetensors --output jobs.safetensors.index.json

                Rows are in the order of the parts, which lie in the folder of the index. Nothing is copied; labels are read, \
                features are not: check those of each part with `beem features inspect`.
                """)

        @Argument(help: "The parts, in the order of their rows.", completion: .file(extensions: ["safetensors"]))
        var parts: [String]
        @OptionGroup var index: IndexOption
        @OptionGroup var printing: PrintingOptions

        func run() throws {
            let cache = try ShardedCache.join(parts, index: index.output)
            try printing.print(ShardedCacheText(cache).text, json: cache)
            printing.note("Wrote \(cache.path).")
            printing.suggest(NextCommand("features", "inspect", cache.path))
        }
    }
}
