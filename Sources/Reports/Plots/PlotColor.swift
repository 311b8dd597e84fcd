/// The colours of every plot and of the page around them, in light and in dark.
///
/// Blue, orange, green and purple are those of Okabe and Ito ("Color universal design", 2008), which readers with any kind
/// of colour blindness tell apart; in the dark they are lighter. Nothing is told by colour alone: shapes, dashes or places
/// say it too.
enum PlotColor: String, CaseIterable, Sendable {
    case ink, muted, grid, blue, orange, green, purple, amber, shade

    /// On a white page, `#rrggbb`.
    var light: String {
        switch self {
        case .ink: "#1f2933"
        case .muted: "#5f6b78"
        case .grid: "#e1e5ea"
        case .blue: "#0072b2"
        case .orange: "#d55e00"
        case .green: "#007f5f"
        case .purple: "#aa5189"
        case .amber: "#b07800"
        case .shade: "#fbe6d8"
        }
    }

    /// On a dark page.
    var dark: String {
        switch self {
        case .ink: "#e5e9ee"
        case .muted: "#9aa6b2"
        case .grid: "#2c353f"
        case .blue: "#5cb8ee"
        case .orange: "#ff8f4d"
        case .green: "#33c79e"
        case .purple: "#e49ac6"
        case .amber: "#f0b43c"
        case .shade: "#43291a"
        }
    }

    /// How a page refers to it.
    var variable: String { "var(--\(rawValue))" }

    /// The declarations of all colours.
    static func declarations(_ shade: (PlotColor) -> String) -> String {
        allCases.map { "--\($0.rawValue): \(shade($0));" }.joined(separator: " ")
    }

    /// The colour of an element of a series from first to last, as `#rrggbb`: from amber to blue, of a lightness that can
    /// be read on a light page and on a dark one.
    static func ramp(_ index: Int, of count: Int) -> String {
        let place = count < 2 ? 0 : Double(index) / Double(count - 1)
        let (first, last) = ([204.0, 130, 0], [45.0, 120, 200])
        let parts = zip(first, last).map { Int((($0 + place * ($1 - $0))).rounded()) }
        return "#" + parts.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
