import ExitHeads
import FeatureCache
import Safetensors

extension AppliedPolicy {
    /// The heads on the backbone's features before compression: `W (P (x - offset)) + b = (W P) x + (b - W P offset)`.
    ///
    /// - Throws: `InputError` when the cache stores no projection.
    /// - Complexity: O(exits * classes * width * full width).
    public func fullWidthHeads() throws(InputError) -> HeadSet {
        let (heads, cache) = try headsAndFeatures()
        var full: [ExitHead] = []
        for (exit, head) in heads.heads.enumerated() {
            guard let projection = cache.projection(ofExit: exit) else {
                throw InputError(
                    .missing, file: cache.path, item: "projection.\(exit)", seen: "no such tensor",
                    expected: "the projection of a compressed cache",
                    advice: "The features have full width already: export without --full-width.")
            }
            guard let own = head.unprojected(projection: projection.matrix, offset: projection.offset) else {
                throw InputError(
                    .unsupported, file: heads.file, item: "exit.\(exit).norm.weight",
                    seen: "a head that normalises the compressed features",
                    expected: "one that a projection can be multiplied into",
                    advice: "Serve it on features projected with projection.\(exit) of \(cache.path), or train it on "
                        + "features of full width.")
            }
            full.append(own)
        }
        return HeadSet(heads: full, file: heads.file)
    }

    /// The heads the policy was calibrated with.
    ///
    /// - Throws: `InputError` for a policy of exits that were trained elsewhere.
    public func heads() throws(InputError) -> HeadSet { try headsAndFeatures().heads }

    private func headsAndFeatures() throws(InputError) -> (heads: HeadSet, features: FeatureCache) {
        guard case .heads(let heads, let cache, _) = exits else {
            throw InputError(
                .unsupported, file: policyFile, item: "heads", seen: "a policy without heads",
                expected: "one whose heads were trained here",
                advice: "The exits were trained elsewhere: export them there.")
        }
        return (heads, cache)
    }
}
