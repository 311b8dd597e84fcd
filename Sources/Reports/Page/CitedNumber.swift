/// A number as a report shows it, together with the place in a file that it was read from: the reader of the page can look
/// it up, and the tests look all of them up.
struct CitedNumber: Sendable {
    /// How a number is written.
    enum Style: String, CaseIterable, Sendable {
        case percent, points, allowedGap, speedUp, decimal, short, probability, count

        /// The text of a number.
        func text(_ value: Double) -> String {
            switch self {
            case .percent: Format.percent(value)
            case .points: Format.points(value)
            case .allowedGap: Format.short(100 * value)
            case .speedUp: Format.speedUp(value)
            case .decimal: Format.decimal(value)
            case .short: Format.short(value)
            case .probability: Format.probability(value)
            case .count: Format.count(Int(value))
            }
        }
    }

    /// The number.
    let value: Double
    /// How it is written.
    let style: Style
    /// `FILE#POINTER`, the pointer by RFC 6901.
    let source: String

    /// The element that shows it.
    var html: HTML {
        let value = style == .count ? "\(Int(value))" : "\(value)"
        return """
            <data value="\(value)" data-source="\(source)" data-style="\(style.rawValue)">\(style.text(self.value))</data>
            """
    }
}

/// A file that numbers are read from.
struct CitedFile: Sendable {
    /// Its name, as the page's reader finds it.
    let name: String
    /// The place in it that numbers are read below, a JSON pointer.
    var place = ""

    /// A place further down.
    subscript(key: String) -> CitedFile { CitedFile(name: name, place: "\(place)/\(key)") }

    /// An element of a list there.
    subscript(index: Int) -> CitedFile { self["\(index)"] }

    /// A number that stands there; a dash where there is none.
    func number(_ key: String, _ value: Double?, _ style: CitedNumber.Style) -> HTML {
        guard let value else { return "–" }
        return CitedNumber(value: value, style: style, source: "\(name)#\(place)/\(key)").html
    }

    /// A count that stands there.
    func number(_ key: String, _ value: Int) -> HTML { number(key, Double(value), .count) }

    /// The two ends of an interval that stand there.
    func interval(_ key: String, _ value: [Double]?, _ style: CitedNumber.Style) -> HTML {
        guard let value, value.count == 2 else { return "" }
        return "\(self[key].number("0", value[0], style)) to \(self[key].number("1", value[1], style))"
    }
}
