import RealModule

extension TrinomialRegion {
    /// An upper bound on the region's probability for every pair of rates with `P(b) - P(c) >= gap` and a discordance of at
    /// most the given one, as long as the region knows the lines that matter.
    ///
    /// Inside, `b - c` is at most its largest value M on any line, so it lies below its mean by `u = n gap - M` or more;
    /// Bernstein's inequality bounds that. Loose near the level, and enough where a sum over lines would be of terms that
    /// underflow.
    ///
    /// - Reference: Bernstein's inequality for independent terms at most `1 + gap` below their mean, of variance at most
    ///   the discordance; Boucheron, Lugosi and Massart (2013), "Concentration inequalities", theorem 2.10.
    /// - Complexity: O(lines), a subtraction each.
    func bernsteinBound(gap: Double, discordance: Double) -> Double {
        var largest = Int.min
        for (line, limit) in zip(lines, limits) where limit >= 0 { largest = max(largest, 2 * limit - line) }
        // What lies on lines that are not known, for the lower and the upper end of the discordance.
        let unknown = 1e-15
        guard largest > Int.min else { return unknown }
        let n = Double(samples)
        let distance = n * gap - Double(largest)
        guard distance > 0 else { return 1 }
        let spread = n * discordance + (1 + gap) * distance / 3
        return min(1, .exp(-distance * distance / (2 * spread)) * (1 + 1e-9) + unknown)
    }
}
