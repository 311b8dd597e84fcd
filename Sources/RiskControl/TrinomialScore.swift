/// The score statistic of a paired difference: how many standard errors `b - c` lies above what a gap predicts.
///
/// `(b - c - n gap) / sqrt(n V)`, where V is the variance of one sample's difference at the probabilities that are most
/// likely among those with `P(b) - P(c) = gap`. Small values speak against "the gap is larger".
///
/// It rises with b and falls with c, for real arguments and every gap, so a region "at most a critical value" keeps all
/// outcomes with fewer harmful and more helpful flips. For gap = e >= 0 let q be the most likely P(c), the larger root
/// of `2 n q^2 + (2 e (n - b) - (b + c)(1 - e)) q = c e (1 - e)`, and `V = 2 q + e (1 - e)`. Then q rises with b and
/// with c, and `(b - c - n e) q (1 + e) = V (n q - c)`. Where the statistic is negative, fewer b raise the size of the
/// numerator and lower V; more c raise both, and the numerator wins exactly when
/// `c (1 - e)(q - e^2) <= n q (2 q (1 + e) + (1 - e)(q + e))`, which follows from `c (1 - e) <= 2 n q`, that is from
/// `b >= 0`. Where it is positive, more c lower the numerator and raise V; more b raise both, and the numerator wins
/// because `(n q - c) q <= 2 n q^2`. Negative gaps mirror positive ones.
///
/// It falls as the gap rises. It is `U sqrt(V / n)` with `U = (b - c - n e) / V`, the derivative of the profile
/// log-likelihood; that is concave, so `U' <= 0`, and by `U V = b - c - n e` then `U V' = -n - U' V >= -n` and
/// `(U sqrt(V))' = -(n + U V' / 2) / sqrt(V) < 0`.
///
/// - Reference: Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
///   paired-sample design"; the same as Miettinen and Nurminen's score without their factor n / (n - 1).
struct TrinomialScore: Equatable, Sendable {
    /// How many samples.
    let samples: Int
    /// The gap `P(b) - P(c)` in -1...1 that is tested.
    let gap: Double

    /// The statistic; 0 where it is 0 / 0 (gap 0 and no flip).
    ///
    /// - Complexity: O(1).
    func callAsFunction(harmful: Int, helpful: Int) -> Double {
        gap >= 0
            ? Self.value(Double(samples), gap, Double(harmful), Double(helpful))
            : -Self.value(Double(samples), -gap, Double(helpful), Double(harmful))
    }

    /// V: the variance of one sample's difference at the most likely probabilities with this gap, which is not negative.
    func variance(harmful: Int, helpful: Int) -> Double {
        precondition(gap >= 0, "mirror negative gaps")
        return samples == 0 ? 0 : Self.variance(Double(samples), gap, Double(harmful), Double(helpful))
    }

    private static func value(_ n: Double, _ gap: Double, _ b: Double, _ c: Double) -> Double {
        let variance = variance(n, gap, b, c)
        guard variance > 0 else { return b - c - n * gap < 0 ? -.infinity : b - c > n * gap ? .infinity : 0 }
        return (b - c - n * gap) / (n * variance).squareRoot()
    }

    private static func variance(_ n: Double, _ gap: Double, _ b: Double, _ c: Double) -> Double {
        let linear = 2 * gap * (n - b) - (b + c) * (1 - gap)
        let constant = c * gap * (1 - gap)
        let root = (linear * linear + 8 * n * constant).squareRoot()
        // The larger root, in the form that does not cancel.
        let helpfulRate = linear <= 0 ? (root - linear) / (4 * n) : 2 * constant / (root + linear)
        return 2 * helpfulRate + gap * (1 - gap)
    }
}
