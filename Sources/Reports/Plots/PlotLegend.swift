/// The legend of plots that share one, as the page shows it: once, and in the page's own type.
struct PlotLegend {
    /// How a curve of another rule is drawn.
    struct LineStyle {
        var color: PlotColor
        /// A dash type, for gnuplot.
        var dash: String
        /// The same, for SVG.
        var dashArray: String
    }

    /// [rules]: told apart by dashes as well as by colour.
    static let ruleStyles: [LineStyle] = [
        LineStyle(color: .blue, dash: "1", dashArray: "none"),
        LineStyle(color: .purple, dash: "(12,4,2,4)", dashArray: "9 3 2 3"),
        LineStyle(color: .amber, dash: "(10,5)", dashArray: "8 4"),
        LineStyle(color: .green, dash: "(5,3)", dashArray: "4 2.5"),
        LineStyle(color: .muted, dash: "(2,3)", dashArray: "1.5 2.5"),
    ]

    private var items: [HTML] = []

    /// Adds a line.
    mutating func add(line name: String, _ color: PlotColor, width: Double, dashArray: String = "none") {
        items.append(
            Self.item(
                name,
                """
                <line x1="1" y1="6" x2="27" y2="6" stroke="\(color.variable)" stroke-width="\("\(width)")" \
                stroke-dasharray="\(dashArray)"/>
                """))
    }

    /// Adds a point, by the name of its shape.
    mutating func add(point name: String, _ color: PlotColor, shape: String, scale: Double) {
        items.append(
            Self.item(
                name,
                """
                <use href="#\(shape)" transform="translate(14,6) scale(\("\(scale)"))" color="\(color.variable)" \
                stroke="\(color.variable)"/>
                """))
    }

    /// Adds a shaded area.
    mutating func add(area name: String, _ color: PlotColor) {
        items.append(
            Self.item(name, "<rect x=\"2\" y=\"0\" width=\"24\" height=\"12\" fill=\"\(color.variable)\"/>"))
    }

    private static func item(_ name: String, _ mark: HTML) -> HTML {
        "<li><svg width=\"28\" height=\"12\" viewBox=\"0 0 28 12\" aria-hidden=\"true\">\(mark)</svg> \(name)</li>\n"
    }

    /// The list.
    var html: HTML { "<ul class=\"legend\">\n\(items)</ul>\n" }
}

extension RunReport {
    /// The legend of the frontier plots.
    var frontierLegend: HTML {
        var legend = PlotLegend()
        legend.add(line: "this policy’s rule", .ink, width: 2.6)
        legend.add(
            point: policy.certificate == nil ? "this policy: never leaves early" : "certified policy", .orange,
            shape: "gpPt12", scale: 4.5)
        if record.walk.tested.contains(where: \.passed) {
            legend.add(point: "passed on certify", .orange, shape: "gpPt6", scale: 2.5)
        }
        if record.walk.tested.contains(where: { !$0.passed }) {
            legend.add(point: "did not pass", .orange, shape: "gpPt1", scale: 3.5)
        }
        if policy.certificate != nil { legend.add(area: "up to the certified speed, within the gap", .shade) }
        for (rule, style) in zip(record.otherRules, PlotLegend.ruleStyles) {
            legend.add(line: rule.name, style.color, width: 1.6, dashArray: style.dashArray)
        }
        return legend.html
    }
}
