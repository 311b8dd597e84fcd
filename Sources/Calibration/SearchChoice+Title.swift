import Foundation

extension Recipe.SearchChoice {
    /// The family of thresholds in a word or two.
    public var title: String {
        switch self {
        case .single: "single"
        case .curve: "curve"
        case .shrunk: "shrunk"
        case .perExitCoordinate, .perExitGrid: "per exit"
        }
    }

    /// The family in words that follow a rule's; nothing for one shared threshold.
    public var ending: String {
        switch self {
        case .single: ""
        case .curve(nil): "; thresholds along a line over depth, its slope picked on tune"
        case .curve(let curve?):
            String(
                format: "; thresholds along a curve over depth (slope %g%@ standard deviations)", curve.slope,
                curve.bend == 0 ? "" : String(format: ", bend %g", curve.bend))
        case .shrunk(let share, _, _):
            String(format: "; thresholds per exit, %g %% of their differences kept", 100 * share)
        case .perExitCoordinate, .perExitGrid: "; a threshold for each exit"
        }
    }
}
