import ArgumentParser

/// `beem features`: look at, compress, divide, cut and join feature caches.
struct Features: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "features",
        abstract: "Inspect, compress, split, cut and join feature caches.",
        discussion: "Example: beem features inspect recipes/movie-reviews/features.safetensors",
        subcommands: [Inspect.self, Compress.self, DrawSplit.self, Shard.self, Join.self])
}
