import Foundation

/// `report.html`: what an engineer attaches to the change that ships an early-exit policy.
///
/// The verdict comes first, then pictures, then tables, settings and hashes. Every number is looked up in the JSON files of
/// the folder, and says where it stands there.
public struct ReportPage: HTMLPage {
    /// The page.
    public let html: String
    /// Why there are no pictures; nil where there are.
    public let missingPictures: String?

    /// Makes the page.
    ///
    /// - Parameter gnuplot: what draws the pictures; without it the page has its tables, and says so.
    /// - Complexity: that of the files; a drawing takes some hundredths of a second.
    public init(_ report: RunReport, gnuplot: Gnuplot? = Gnuplot()) {
        let figures = FigureSet(report)
        let drawn = DrawnFigures(figures.all, by: gnuplot)
        missingPictures = drawn.missing
        let content = ReportContent(report: report, figures: figures, drawn: drawn)
        html = PageFrame(title: "\(report.record.name): early-exit policy", content: content.html, hasScript: true).text
    }
}

/// The figures of a report, section by section.
struct FigureSet {
    let frontier: [Figure]
    let policy: [Figure]
    let scores: [Figure]
    let reliability: [Figure]
    let learning: [Figure]

    init(_ report: RunReport) {
        frontier = ["tune", "test"].map(report.frontierFigure)
        policy = [report.errorFigure, report.shareFigure, report.leaverFigure, report.flipFigure]
        scores = report.scoreFigures
        reliability = report.reliabilityFigures
        learning = report.learningFigures
    }

    var all: [Figure] { frontier + policy + scores + reliability + learning }
}

/// Figures with their pictures, where those could be drawn.
struct DrawnFigures {
    private let pictures: [String: PlotPicture]
    /// Why there are none.
    let missing: String?

    init(_ figures: [Figure], by gnuplot: Gnuplot?) {
        switch gnuplot?.draw(figures) {
        case nil:
            pictures = [:]
            missing =
                "gnuplot was not found, so there are no pictures; install it (gnuplot-nox on Debian) and make the report again with `beem report`"
        case .failure(let error):
            pictures = [:]
            missing = "gnuplot could not draw the pictures: \(error.message)"
        case .success(let drawn):
            pictures = Dictionary(uniqueKeysWithValues: zip(figures.map(\.id), drawn))
            missing = nil
        }
    }

    /// A figure as the page shows it; nothing without its picture.
    func html(_ figure: Figure) -> HTML {
        guard let picture = pictures[figure.id] else { return "" }
        return """
            <figure>
            <h3>\(figure.title)</h3>
            \(HTML(markup: picture.markup))
            <figcaption>\(figure.caption)</figcaption>
            </figure>

            """
    }

    /// Some figures in a grid; nothing without their pictures.
    func grid(_ figures: [Figure], class name: HTML) -> HTML {
        guard missing == nil, !figures.isEmpty else { return "" }
        return "<div class=\"\(name)\">\n\(figures.map(html))</div>\n"
    }
}
