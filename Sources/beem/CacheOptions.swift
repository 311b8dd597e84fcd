import ArgumentParser
import FeatureCache

/// Where a cache of one file is written.
struct CacheOption: ParsableArguments {
    @Option(help: "The cache to write, one file.", completion: .file(extensions: ["safetensors"]))
    var output: String

    func validate() throws {
        guard !output.hasSuffix(".json") else {
            throw ValidationError("--output is a safetensors file; `beem features shard` cuts it into an index's")
        }
    }
}

/// Where the index of a sharded cache is written.
struct IndexOption: ParsableArguments {
    @Option(
        help: "The index to write, NAME.safetensors.index.json; the shards stand beside it.",
        completion: .file(extensions: ["index.json"]))
    var output: String

    func validate() throws {
        guard output.hasSuffix(ShardedCache.ending) else {
            throw ValidationError("--output ends with \(ShardedCache.ending)")
        }
    }
}
