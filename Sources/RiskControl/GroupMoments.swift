/// Sums over groups of samples that say how far a mean difference is from a gap when members of a group depend on each
/// other.
public struct GroupMoments: Equatable, Sendable {
    /// The sum of all differences.
    public private(set) var differences = 0
    /// The sum over groups of the square of the group's difference.
    public private(set) var squares = 0
    /// The sum over groups of the group's difference times its size.
    public private(set) var products = 0
    /// How many samples there are.
    public let samples: Int
    /// The sum over groups of the squared size.
    public let squaredSizes: Int

    /// `-sum Y / sqrt(sum Y^2)` with `Y = sum over the group of (d - allowedGap)`: how many standard errors, over groups,
    /// the policy is better than allowed. 0 where it is 0 / 0.
    ///
    /// For orders, not for certificates; see ``pairedZ(_:)``.
    public func z(allowedGap: Double) -> Double {
        let sum = Double(differences) - allowedGap * Double(samples)
        let spread = nullSquares(allowedGap: allowedGap)
        return spread > 0 ? -sum / spread.squareRoot() : 0
    }

    /// The sum of Y^2 that ``z(allowedGap:)`` divides by.
    public func nullSquares(allowedGap: Double) -> Double {
        let seen =
            Double(squares) - 2 * allowedGap * Double(products) + allowedGap * allowedGap * Double(squaredSizes)
        // Where the gap is that large there are harmful flips at that rate, seen or not; at worst whole groups of them.
        return max(seen, allowedGap * (1 - allowedGap) * Double(squaredSizes))
    }

    /// Moments that follow single changes.
    public struct Running: Sendable {
        private let sizes: [Int: Int]
        private var sums: [Int: Int] = [:]
        /// The moments now.
        public private(set) var summary: GroupMoments

        init(groups: [Int]) {
            sizes = groups.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            summary = GroupMoments(
                samples: groups.count, squaredSizes: sizes.values.reduce(0) { $0 + $1 * $1 })
        }

        /// Adds to the difference of a group.
        ///
        /// - Complexity: O(1).
        public mutating func change(group: Int, by step: Int) {
            let before = sums[group, default: 0]
            sums[group] = before + step
            summary.differences += step
            summary.squares += (before + step) * (before + step) - before * before
            summary.products += step * sizes[group]!
        }
    }

    private init(samples: Int, squaredSizes: Int) {
        self.samples = samples
        self.squaredSizes = squaredSizes
    }
}

extension GroupMoments {
    /// Moments of differences that are all 0, to be changed one by one.
    ///
    /// - Parameter groups: [samples]: the group of each.
    public static func running(groups: [Int]) -> Running { Running(groups: groups) }
}

extension GroupMoments {
    /// The moments of two sets of samples that share no group.
    public static func + (first: GroupMoments, second: GroupMoments) -> GroupMoments {
        var sum = GroupMoments(
            samples: first.samples + second.samples, squaredSizes: first.squaredSizes + second.squaredSizes)
        sum.differences = first.differences + second.differences
        sum.squares = first.squares + second.squares
        sum.products = first.products + second.products
        return sum
    }
}
