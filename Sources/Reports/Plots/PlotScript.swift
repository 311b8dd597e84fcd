import Foundation

/// gnuplot commands, put together from data.
struct PlotScript: Sendable {
    /// The commands so far.
    private(set) var text = ""
    private var blocks = 0

    /// Adds commands.
    mutating func add(_ commands: String) { text += commands + "\n" }

    /// Adds rows of numbers and returns the name that commands call them by; nil is a gap.
    mutating func data(_ rows: [[Double?]]) -> String {
        blocks += 1
        let name = "$data\(blocks)"
        text += "\(name) << EOD\n"
        for row in rows {
            text += row.map { $0.map { "\($0)" } ?? "NaN" }.joined(separator: " ") + "\n"
        }
        text += "EOD\n"
        return name
    }

    /// A text as gnuplot quotes it.
    static func quoted(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        return "'" + line.replacing("'", with: "''") + "'"
    }

    /// A colour as gnuplot takes it.
    static func color(_ color: PlotColor) -> String { "lc rgb '\(color.light)'" }

    /// A round step: 1, 2 or 5 times a power of ten, so that a range has at most so many of them.
    static func step(_ range: Double, ticks: Int) -> Double {
        let least = max(range, .leastNormalMagnitude) / Double(ticks)
        let power = pow(10, floor(log10(least)))
        return [1, 2, 5].map { $0 * power }.first { $0 >= least } ?? 10 * power
    }

    /// What every plot starts with.
    static func preamble(_ size: PlotSize) -> String {
        """
        reset
        set terminal svg size \(size.width),\(size.height) dynamic rounded noenhanced font 'Arial,\(size.fontSize)' name 'plot'
        set encoding utf8
        set border 3 lc rgb '\(PlotColor.muted.light)' lw 1
        set tics nomirror out scale 0.5 textcolor rgb '\(PlotColor.muted.light)'
        set grid y lt 1 lc rgb '\(PlotColor.grid.light)' lw 1
        set key outside top left horizontal Left reverse samplen 1.6 spacing 1.0 width -1 textcolor rgb '\(PlotColor.ink.light)'
        set xlabel textcolor rgb '\(PlotColor.ink.light)'
        set ylabel textcolor rgb '\(PlotColor.ink.light)'
        set style fill solid 1 noborder

        """
    }
}
