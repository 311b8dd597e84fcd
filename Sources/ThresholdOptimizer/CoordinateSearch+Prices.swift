import ExitRules

/// Searches that pay a price for an error instead of limiting errors: Lagrange's relaxation of the constraint.
///
/// - Reference: Everett (1963), "Generalized Lagrange multiplier method for solving problems of optimum allocation of
///   resources".
extension CoordinateSearch {
    /// Policies with a threshold for each exit that trade cost for errors, none of them dominated by another: from the
    /// cheapest, with the most excess errors `b - c`, to the one with the fewest.
    ///
    /// Each is the end of a descent at one price of an error, then of one that allows as many errors as the first ended
    /// with, so no single threshold makes it cheaper without more errors. They are not the best policies there are, and
    /// prices reach none in a dent of the frontier; the allowed gap plays no part.
    ///
    /// - Parameter ratio: between a price and the next lower one, above 1. Closer to 1 finds more points.
    /// - Complexity: O(N L) a pass, a handful of passes for each price.
    public func frontier(ratio: Double = 1.5) -> [PolicyPoint] {
        var search = self
        let never = Array(repeating: 0, count: rankings.count)
        let ends = ([never] + pricedEnds(prices(ratio: ratio))).map { end in
            search.largestExcess = rank(cuts: end).excess
            return search.improved(end)
        }
        let ranked = ends.map { (cuts: $0, rank: rank(cuts: $0)) }
        let sorted = ranked.sorted { ($0.rank.costSum, $0.rank.excess) < ($1.rank.costSum, $1.rank.excess) }
        var points: [PolicyPoint] = []
        var fewest = Int.max
        for (cuts, rank) in sorted where rank.excess < fewest {
            fewest = rank.excess
            points.append(PolicyPoint(thresholds(of: cuts), on: table))
        }
        return points
    }

    /// How many ends of priced descents with and without violation the search itself starts from.
    private static let startsOnEitherSide = 3

    /// Starts on either side of the constraint.
    func pricedStarts() -> [[Int]] {
        var seen: Set<[Int]> = []
        let ends = pricedEnds(prices(ratio: 2)).filter { seen.insert($0).inserted }
        let violating = ends.firstIndex { rank(cuts: $0).violation > 0 } ?? ends.count
        return ends[..<violating].suffix(Self.startsOnEitherSide) + ends[violating...].prefix(Self.startsOnEitherSide)
    }

    /// Falling prices of an error, from one that no saving is worth to one that any saving is.
    private func prices(ratio: Double) -> [Double] {
        precondition(ratio > 1, "prices fall")
        let costs = table.costs
        let least = zip(costs.dropFirst(), costs).map(-).min() ?? 0
        var price = Double(table.sampleCount) * (costs[costs.count - 1] - costs[0])
        guard least > 0, price < .infinity else { return [] }
        var prices: [Double] = []
        while price > least / ratio {
            prices.append(price)
            price /= ratio
        }
        return prices
    }

    /// The ends of descents at falling prices, the first from "never", each from where the last one ended.
    private func pricedEnds(_ prices: [Double]) -> [[Int]] {
        var cuts = Array(repeating: 0, count: rankings.count)
        return prices.map { price in
            cuts = improved(cuts, price: price)
            return cuts
        }
    }

    /// Passes until one moves nothing.
    private func improved(_ start: [Int], price: Double) -> [Int] {
        var cuts = start
        var lastMoved = rankings.count - 1
        var hasMoved = true
        while hasMoved {
            hasMoved = false
            let later = laterExits(cuts: cuts)
            var pass = Pass(sampleCount: table.sampleCount)
            for exit in rankings.indices {
                let found = bestCut(
                    exit: exit, current: cuts[exit], price: price, laterExits: later.exits[exit],
                    laterFlips: later.flips[exit], waiting: pass.waiting)
                if found != cuts[exit] {
                    cuts[exit] = found
                    hasMoved = true
                    lastMoved = exit
                } else if !hasMoved, exit == lastMoved {
                    break
                }
                pass.release(cut: cuts[exit], ranks: ranks[exit])
            }
        }
        return cuts
    }

    /// The cut of least cost and price of errors; the current one unless another is clearly better.
    ///
    /// - Complexity: O(N), sequential in the order of scores.
    private func bestCut(
        exit: Int, current: Int, price: Double, laterExits: [Int32], laterFlips: [Int8], waiting: [Int8]
    ) -> Int {
        let ranking = rankings[exit]
        let flips = flips[exit]
        let costs = table.costs
        let ownCost = costs[exit]
        var best = 0
        // Counted from "never".
        var excess = 0
        var cost = 0.0
        var least = 0.0
        var present = 0.0
        for cut in 1..<(ranking.count + 1) {
            for position in ranking.ends[cut - 1]..<ranking.ends[cut] {
                let sample = Int(ranking.order[position])
                excess += Int((flips[sample] &- laterFlips[sample]) & waiting[sample])
                cost += (ownCost - costs[Int(laterExits[sample])]) * Double(-waiting[sample])
            }
            let priced = cost + price * Double(excess)
            if cut == current { present = priced }
            if priced < least {
                least = priced
                best = cut
            }
        }
        // Sums are rounded; without a margin equals might take turns.
        let margin = 1e-9 * (Double(table.sampleCount) * (costs[costs.count - 1] + price))
        return least < present - margin ? best : current
    }
}
