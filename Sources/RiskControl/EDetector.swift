import RealModule

/// The evidence that a mean has risen above an allowed gap at some time, which need not be the start.
///
/// For each bet it adds up the evidence since every sample on which a drift may have begun: `R_t = sum over s <= t of
/// product over s...t of (1 + bet (d - allowedGap))`, which is `R_t = (R_{t-1} + 1) (1 + bet (d_t - allowedGap))`, from
/// `R_0 = 0`; the value is the mean over the bets.
///
/// While the mean of every d given the past is at most `allowedGap`, `R_t - t` is a supermartingale, whatever the
/// dependence. So the first time N that the value reaches A has a mean of at least A (optional stopping), and
/// `P(N <= t) <= t / A`. It is **not** bounded by a level for ever: watched long enough, every detector raises a false
/// alarm.
///
/// The horizon of the bets should be A. A bet too small to grow within A samples only counts them, and brings R near A
/// also in good times. With an allowed gap of 0.01, A 10,000 and a gap of 0 (P(b) = P(c) = .02), a false alarm came
/// every 1.7 million samples with bets for a horizon of 10,000, every 50,000 with bets for a million; a gap of 0.03
/// was noticed after 850 and 720 samples (medians).
///
/// - Reference: Shin, Ramdas and Rinaldo (2023), "E-detectors: a nonparametric framework for sequential change
///   detection": the Shiryaev-Roberts e-detector, mixed over baseline increments.
struct EDetector: Equatable, Sendable {
    /// Where a sum stops growing, so that sums and their sum are finite; so far above any A that one sum of a hundred
    /// bets alone keeps the mean above it. A sum that is too small can only delay an alarm, never raise one.
    static let largestSum = 1e300

    /// The bets and their null.
    let grid: BetGrid
    /// The mean of the sums over the bets, at most ``largestSum``; 0 at the start.
    private(set) var value = 0.0

    /// [bets]: R of each. At least its last factor, so at least 1/2 after the first sample: it cannot vanish, and a
    /// long good time costs later evidence nothing.
    private var sums: [Double]

    /// Starts before the first sample.
    init(grid: BetGrid) {
        self.grid = grid
        sums = Array(repeating: 0, count: grid.bets.count)
    }

    /// The logarithm of the value; minus infinity at the start.
    var logarithm: Double { .log(value) }

    /// Takes the next difference, in the range of the grid.
    ///
    /// - Complexity: O(bets), a few operations each.
    mutating func observe(_ difference: Double) {
        let excess = difference - grid.allowedGap
        for index in sums.indices {
            let next = (sums[index] + 1) * (1 + grid.bets[index] * excess)
            sums[index] = min(next, Self.largestSum)
        }
        value = sums.reduce(0, +) / Double(sums.count)
    }
}
