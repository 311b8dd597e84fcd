import FeatureCache
import Safetensors

extension FeatureCache {
    /// Refuses rows of which several belong to one group.
    ///
    /// The tests on paired counts take samples for independent; samples of one group are not, and would pass them far too
    /// often.
    ///
    /// - Throws: ``InputError`` that names the largest group's size.
    /// - Complexity: O(rows).
    public func requireIndependence(of rows: [Int]) throws(InputError) {
        guard let groups else { return }
        let sizes = Dictionary(grouping: rows, by: { groups[$0] }).mapValues(\.count)
        guard let largest = sizes.values.max(), largest > 1 else { return }
        throw InputError(
            .unsupported, file: path, item: "group", seen: "groups of up to \(largest) samples",
            expected: "groups of one sample, since this version tests independent samples only",
            advice: "Keep one sample of each group in the split that is tested.")
    }
}
