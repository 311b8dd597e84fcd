import RealModule

/// The evidence, since a fixed start, that a mean is above an allowed gap.
///
/// The value after t samples is `M_t = mean over the bets of product over s <= t of (1 + bet (d_s - allowedGap))`. While
/// the mean of every d given the past is at most `allowedGap` it is a nonnegative supermartingale that starts at 1,
/// whatever the dependence, so it ever reaches 1 / alpha with probability at most alpha (Ville's inequality).
///
/// It remembers everything: what it lost while all was well must be won back before it can speak. For a drift that
/// starts later use ``EDetector``.
///
/// - Reference: Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting": the
///   capital process for a lower bound, and its mixture over a grid of bets.
struct EProcess: Equatable, Sendable {
    /// A horizon of bets long enough for any release: a smaller drift takes more samples than are audited.
    static let horizon = 1e6

    /// The bets and their null.
    let grid: BetGrid
    /// The logarithm of M; 0 at the start.
    private(set) var logarithm = 0.0

    /// [bets]: the logarithm of each product. Logarithms, since a product leaves the range of Double within thousands
    /// of samples; a sum of a million of them errs by less than 1e-9 of the largest it has been.
    private var logarithms: [Double]

    /// Starts with a wealth of 1.
    init(grid: BetGrid) {
        self.grid = grid
        logarithms = Array(repeating: 0, count: grid.bets.count)
    }

    /// Takes the next difference, in the range of the grid.
    ///
    /// - Complexity: O(bets): a logarithm and an exponential each.
    mutating func observe(_ difference: Double) {
        let excess = difference - grid.allowedGap
        var largest = -Double.infinity
        for index in logarithms.indices {
            logarithms[index] += .log(onePlus: grid.bets[index] * excess)
            largest = max(largest, logarithms[index])
        }
        // The largest term is 1, so the sum neither overflows nor vanishes.
        let sum = logarithms.reduce(0) { $0 + .exp($1 - largest) }
        logarithm = largest + .log(sum / Double(logarithms.count))
    }
}
