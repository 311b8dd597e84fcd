import Statistics

extension TrinomialRegion {
    /// What is known about a supremum: it lies in `lower...upper`.
    struct Bounds: Equatable, Sendable {
        /// The largest probability that was found, less rounding.
        var lower: Double
        /// Above the probability everywhere.
        var upper: Double
    }

    /// Bounds the supremum of the region's probability over all rates with `P(b) - P(c) = gap` and a discordance
    /// `P(b) + P(c)` in a range.
    ///
    /// Branch and bound: each piece of the line carries the expansion at its centre, which bounds the probability on
    /// the whole piece; the piece of the largest bound is cut into three until the bounds agree to 5e-5, or to 2 % of
    /// the supremum where that is less. A small share that never matters to a user (1e-7) ends it too.
    ///
    /// - Parameters:
    ///   - discordance: in 0...1; empty below |gap|, where the supremum is 0.
    ///   - decide: stops the search when it says true; the bounds only ever close in.
    /// - Complexity: tens of expansions, fewer when `decide` is easy.
    func supremum(
        gap: Double, discordance: ClosedRange<Double>, decide: (Bounds) -> Bool = { _ in false }
    ) -> Bounds {
        guard discordance.upperBound > abs(gap) else { return Bounds(lower: 0, upper: 0) }
        let low = max(0, (discordance.lowerBound - abs(gap)) / 2)
        let high = (discordance.upperBound - abs(gap)) / 2
        let (extraHarmful, extraHelpful) = (max(0, gap), max(0, -gap))

        // s is the smaller of the two rates.
        let expand = { (s: Double) in expansion(harmfulRate: s + extraHarmful, helpfulRate: s + extraHelpful) }
        let information = { (s: Double) in
            Double(samples) * (1 / (s + extraHarmful) + 1 / (s + extraHelpful) + 4 / (1 - 2 * s - abs(gap)))
        }

        // First pieces short enough for a bound to say anything.
        var pending = [(centre: low + (high - low) / 2, radius: (high - low) / 2)]
        var starts: [(centre: Double, radius: Double)] = []
        while let piece = pending.popLast() {
            if information(piece.centre) * piece.radius * piece.radius <= 0.3 {
                starts.append(piece)
            } else {
                let half = piece.radius / 2
                pending += [(piece.centre - half, half), (piece.centre + half, half)]
            }
        }
        // From the middle outward: there the probability is usually largest, and one value may settle it.
        let middle = low + (high - low) / 2
        starts.sort { abs($0.centre - middle) < abs($1.centre - middle) }

        var pieces: [Piece] = []
        var bounds = Bounds(lower: 0, upper: 1)
        for start in starts {
            pieces.append(Piece(centre: start.centre, radius: start.radius, expansion: expand(start.centre), limit: 1))
            bounds.lower = max(bounds.lower, pieces[pieces.count - 1].lower)
            if decide(bounds) { return bounds }
        }
        while true {
            let worst = pieces.indices.max { pieces[$0].upper < pieces[$1].upper }!
            let piece = pieces[worst]
            bounds.upper = piece.upper
            if decide(bounds) || bounds.upper - bounds.lower <= min(5e-5, max(1e-7, 0.02 * bounds.lower)) {
                return bounds
            }
            // The middle third keeps its expansion.
            let third = piece.radius / 3
            pieces[worst] = Piece(
                centre: piece.centre, radius: third, expansion: piece.expansion, limit: piece.upper)
            for centre in [piece.centre - 2 * third, piece.centre + 2 * third] {
                let part = Piece(centre: centre, radius: third, expansion: expand(centre), limit: piece.upper)
                bounds.lower = max(bounds.lower, part.lower)
                pieces.append(part)
            }
        }
    }

    /// A part of the line `P(b) - P(c) = gap` with what is known there.
    private struct Piece {
        var centre: Double
        var radius: Double
        var expansion: Expansion
        /// The probability is at most this on the piece.
        var upper: Double

        init(centre: Double, radius: Double, expansion: Expansion, limit: Double) {
            self.centre = centre
            // A little overlap, so that rounded ends leave no hole.
            self.radius = radius
            self.expansion = expansion
            upper = min(limit, expansion.bound(radius: radius * (1 + 1e-9)))
        }

        /// The probability is at least this somewhere on the piece.
        var lower: Double { max(0, expansion.value - expansion.rounding) }
    }
}
