import FeatureCache
import Foundation

extension NextCommand {
    /// From this width on, heads are trained faster on fewer components.
    private static let wide = 256

    /// What a cache that is wide still needs: a stored train split, then compression. Nil for one that is ready for a
    /// recipe.
    init?(preparing summary: FeatureCacheSummary) {
        self.init(
            preparing: summary.path, width: summary.exits.map(\.width).min() ?? 0,
            isCompressed: summary.exits.contains { $0.fullWidth != nil },
            hasTrain: summary.splits.contains { $0.name == "train" && $0.samples > 0 })
    }

    /// The same of a cache's path, its narrowest exit, and what it stores.
    init?(preparing path: String, width: Int, isCompressed: Bool, hasTrain: Bool) {
        guard !isCompressed, width >= Self.wide else { return nil }
        // A cache in shards is named by its index.
        var stem = path
        for ending in [".index.json", ".safetensors"] where stem.hasSuffix(ending) { stem.removeLast(ending.count) }
        if hasTrain {
            self = NextCommand("features", "compress", path).with("--components", 128)
                .with("--output", "\(stem)-128.safetensors")
        } else {
            self = NextCommand("features", "split", path).with("--train", 0.5).with("--tune", 0.15)
                .with("--certify", 0.2).with("--test", 0.15).with("--output", "\(stem)-split.safetensors")
        }
    }
}
