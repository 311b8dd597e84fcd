import ExitRules

/// The paper's way to set thresholds: every exit's error rate among the samples it releases at most the final layer's.
///
/// Exit by exit from the front, the smallest threshold with `c_misc / c_stop <= e_final`, where c_stop samples reach the
/// exit and leave there, c_misc of them with a wrong label, and e_final is the final layer's error rate on the whole
/// split.
///
/// - Warning: The rule is **not sufficient** for a total error of at most the final layer's, because early exits release
///   the easy samples, on which the final layer errs less than e_final too. Let 60 % leave at 7.5 % error while the
///   final layer errs 2 % on those and 17 % on the rest: the rule holds (7.5 % < 8 %), and the total error is 11.3 %.
///   Look at the risk gap of what it returns.
/// - Reference: Bajpai and Hanawal (2025), "BEEM: Boosting performance of early exit DNNs using multi-exit classifiers
///   as experts".
public enum PerExitRule {
    /// The thresholds of the rule on a table; nil where no threshold obeys it.
    ///
    /// - Complexity: O(N L log N).
    public static func thresholds(on table: ScoreTable) -> Thresholds {
        let final = table.exitCount - 1
        let finalErrors = table.isCorrect[final].count { !$0 }
        var isWaiting = Array(repeating: true, count: table.sampleCount)
        var values: [Double?] = []
        for exit in 0..<final {
            let ranking = ScoreRanking(scores: table.scores[exit])
            let cut = largestCut(ranking, isCorrect: table.isCorrect[exit], isWaiting: isWaiting) { wrong, released in
                isWithin(wrong: wrong, released: released, finalErrors: finalErrors, samples: table.sampleCount)
            }
            for sample in ranking.order[..<ranking.ends[cut]] { isWaiting[Int(sample)] = false }
            values.append(ranking.threshold(cut: cut))
        }
        return Thresholds(values)
    }

    /// Whether thresholds obey the rule on a table: at every early exit that releases anyone, the error rate among those
    /// is at most the final layer's on the whole table. It may hold while the risk gap is far above 0.
    ///
    /// - Complexity: O(N L).
    public static func holds(for thresholds: Thresholds, on table: ScoreTable) -> Bool {
        let outcome = evaluate(thresholds, on: table)
        let final = table.exitCount - 1
        let finalErrors = table.isCorrect[final].count { !$0 }
        return (0..<final).allSatisfy { exit in
            isWithin(
                wrong: outcome.wrong[exit], released: outcome.released[exit], finalErrors: finalErrors,
                samples: outcome.sampleCount)
        }
    }

    /// `wrong / released <= finalErrors / samples`, in integers.
    private static func isWithin(wrong: Int, released: Int, finalErrors: Int, samples: Int) -> Bool {
        wrong * samples <= finalErrors * released
    }

    /// The largest cut that releases anyone who waits and obeys the rule; 0 when there is none.
    private static func largestCut(
        _ ranking: ScoreRanking, isCorrect: [Bool], isWaiting: [Bool], obeys: (_ wrong: Int, _ released: Int) -> Bool
    ) -> Int {
        var best = 0
        var wrong = 0
        var released = 0
        for cut in 1..<(ranking.count + 1) {
            let before = released
            for sample in ranking.order[ranking.ends[cut - 1]..<ranking.ends[cut]] where isWaiting[Int(sample)] {
                released += 1
                if !isCorrect[Int(sample)] { wrong += 1 }
            }
            // A cut that adds nobody is no new policy.
            if released > before, obeys(wrong, released) { best = cut }
        }
        return best
    }
}
