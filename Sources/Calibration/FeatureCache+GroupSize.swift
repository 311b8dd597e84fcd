import FeatureCache
import Safetensors

extension FeatureCache {
    /// The largest number of samples of one group among some rows; 1 when there are no groups.
    ///
    /// - Complexity: O(rows).
    func largestGroup(in rows: [Int]) -> (group: Int32, size: Int)? {
        guard let groups else { return nil }
        let sizes = rows.reduce(into: [Int32: Int]()) { $0[groups[$1], default: 0] += 1 }
        return sizes.max { ($0.value, $1.key) < ($1.value, $0.key) }.map { (group: $0.key, size: $0.value) }
    }

    /// Refuses rows with a larger group than was declared before they were looked at.
    ///
    /// - Throws: ``InputError`` that names the group and its size.
    func requireGroups(of rows: [Int], atMost maximum: Int, declaredBy source: String) throws(InputError) {
        guard let largest = largestGroup(in: rows), largest.size > maximum else { return }
        throw InputError(
            .outOfRange, file: path, item: "group \(largest.group)", seen: "\(largest.size) samples",
            expected: "at most \(maximum), \(source)",
            advice: "Say with guarantee.maxGroupSize or --max-group-size how large a group can be, before certifying.")
    }
}
