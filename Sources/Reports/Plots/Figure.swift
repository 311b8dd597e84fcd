/// A plot: the commands that draw it, and what to say of it in words.
struct Figure: Sendable {
    /// A name that is used once on a page, for its elements.
    var id: String
    /// What it shows, in a few words.
    var title: String
    /// How to read it.
    var caption: HTML = ""
    /// What it shows, for who cannot see it.
    var alternative: String
    /// How large it is drawn.
    var size = PlotSize.panel
    /// The commands, for gnuplot.
    var commands: String
    /// Where its axes lie, for a script that draws into it.
    var frame: PlotFrame?
}

/// How large a plot is drawn, in pixels before the page scales it.
enum PlotSize: Sendable {
    /// One of two side by side.
    case panel
    /// One of many.
    case small

    var width: Int { self == .panel ? 480 : 240 }
    var height: Int { self == .panel ? 330 : 176 }
    var fontSize: Int { self == .panel ? 13 : 12 }
}

/// Where a plot's axes lie, in fractions of its width and height from the lower left, and what they span.
struct PlotFrame: Equatable, Sendable {
    var left = 0.13
    var right = 0.975
    var bottom = 0.155
    var top = 0.97
    var x: ClosedRange<Double>
    var y: ClosedRange<Double>

    /// The commands that place the axes there.
    var commands: String {
        """
        set lmargin at screen \(left); set rmargin at screen \(right)
        set bmargin at screen \(bottom); set tmargin at screen \(top)
        set xrange [\(x.lowerBound):\(x.upperBound)]
        set yrange [\(y.lowerBound):\(y.upperBound)]

        """
    }

    /// What a script needs to draw into the plot.
    var attribute: String {
        [left, right, bottom, top, x.lowerBound, x.upperBound, y.lowerBound, y.upperBound]
            .map { "\($0)" }.joined(separator: " ")
    }
}
