import ArgumentParser

/// `beem features`: look at, compress and divide feature caches.
struct Features: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Inspect, compress and split feature caches.",
        discussion: "Example: beem features inspect recipes/movie-reviews/features.safetensors",
        subcommands: [Inspect.self, Compress.self, DrawSplit.self])
}
