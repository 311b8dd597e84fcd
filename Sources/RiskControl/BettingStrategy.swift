/// How a bettor sizes the next bet from the past.
///
/// Both have the same guarantee, which needs only that a bet does not see what it is placed on.
public enum BettingStrategy: String, CaseIterable, Sendable {
    /// `sqrt(2 ln(1 / level) / (n variance))`: what n observations need to take the wealth from 1 to 1 / level.
    ///
    /// - Reference: Waudby-Smith and Ramdas (2024), the predictable plug-in bets for a sample size known beforehand.
    case plugIn = "plug-in"
    /// The same with what is still missing to 1 / level and the observations still to come: bolder when behind, more
    /// careful when ahead. Once there it goes on with plug-in bets.
    ///
    /// Stronger at the level it aims at: at 0.05, n 1000, P(b) .02, P(c) .03, gap .01 its power is .83 against .72; at
    /// n 5000, .02/.03, gap 0, .92 against .84.
    ///
    /// - Reference: Voracek and Orabona (2025), "STaR-Bets: sequential target-recalculating bets for tighter confidence
    ///   intervals".
    case retargeted
}
