import ExitHeads
import FeatureCache
import Safetensors

extension AppliedPolicy {
    /// The heads on the backbone's features before compression: `W (P (x - offset)) + b = (W P) x + (b - W P offset)`.
    ///
    /// - Throws: ``InputError`` when the cache stores no projection.
    /// - Complexity: O(exits * classes * width * full width).
    public func fullWidthHeads() throws(InputError) -> HeadSet {
        var full: [LinearHead] = []
        for (exit, head) in heads.heads.enumerated() {
            guard let projection = cache.projection(ofExit: exit) else {
                throw InputError(
                    .missing, file: cache.path, item: "projection.\(exit)", seen: "no such tensor",
                    expected: "the projection of a compressed cache",
                    advice: "The features have full width already: export without --full-width.")
            }
            full.append(head.unprojected(projection: projection.matrix, offset: projection.offset))
        }
        return HeadSet(heads: full, file: heads.file)
    }
}
