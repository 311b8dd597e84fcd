/// The bets of a bettor who watches for a mean above an allowed gap and does not know by how much: a fixed, geometric
/// grid, the starting wealth spread evenly over it.
///
/// A bet multiplies its wealth by `1 + bet (d - allowedGap)` at each difference d. If the mean of d given the past is at
/// most `allowedGap`, the mean factor is at most 1, for every bet that is not negative; what the grid is decides how
/// soon an alarm comes, not how often a false one does.
///
/// - The largest bet is half of what the worst difference, the lower end of the range, allows: no factor is below 1/2.
///   With d at the upper end of -1...1 it still gains half its wealth a sample.
/// - Each next bet is half the one before. A bet that is r times the best one gains `2 r - r^2` of its growth (to second
///   order), so some bet of the grid has at least 8/9; a finer grid gains less than it costs in wealth per bet.
/// - The smallest bet is the best one for a drift so small that wealth takes `horizon` samples to grow by `e^growth`,
///   when the variance is the largest that a mean of `allowedGap` leaves in the range.
///
/// Equal weights: no size of drift is favoured. Against its best bet alone the mixture lacks at most a factor of the
/// count, 9 for an allowed gap of 0.01 in -1...1 and a horizon of a million.
struct BetGrid: Equatable, Sendable {
    /// The logarithm of what the smallest bet should grow by within the horizon.
    static let growth = 5.0

    /// The largest mean under the null, inside `range`.
    let allowedGap: Double
    /// The bets, positive, falling by half.
    let bets: [Double]

    /// Creates the grid for a null.
    ///
    /// - Parameters:
    ///   - allowedGap: strictly between the ends of `range`. At the lower end one larger difference would refute the
    ///     null, and at the upper end nothing could.
    ///   - range: in which every difference lies.
    ///   - horizon: samples within which the smallest drift is to be noticed, positive.
    init(allowedGap: Double, range: ClosedRange<Double>, horizon: Double) {
        precondition(range.lowerBound.isFinite && range.upperBound.isFinite, "a range is finite")
        precondition(
            range.lowerBound < allowedGap && allowedGap < range.upperBound,
            "an allowed gap lies strictly between the smallest and the largest difference")
        precondition(horizon > 0, "a drift takes samples to notice")
        self.allowedGap = allowedGap
        let below = allowedGap - range.lowerBound
        let largestVariance = below * (range.upperBound - allowedGap)
        // A well-chosen bet gains bet^2 variance / 2 a sample.
        let smallest = (2 * Self.growth / (horizon * largestVariance)).squareRoot()
        var bet = 0.5 / below
        var bets = [bet]
        while bet > smallest {
            bet /= 2
            bets.append(bet)
        }
        self.bets = bets
    }
}
