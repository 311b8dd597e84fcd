import Foundation

/// A drawn plot as a page embeds it: gnuplot's SVG with the page's fonts and colours, and without what it has to say
/// only when it stands alone.
struct PlotPicture: Equatable, Sendable {
    /// The `svg` element.
    let markup: String

    /// Point shapes that pictures refer to, once for the whole page.
    static let sharedDefinitions = """
        <svg width="0" height="0" class="definitions" aria-hidden="true"><defs>
        <circle id="gpDot" r="0.5" stroke-width="0.5" stroke="currentColor"/>
        <path id="gpPt1" stroke-width="0.4" stroke="currentColor" d="M-1,-1 L1,1 M1,-1 L-1,1"/>
        <rect id="gpPt3" stroke-width="0.4" stroke="currentColor" fill="none" x="-1" y="-1" width="2" height="2"/>
        <rect id="gpPt4" fill="currentColor" x="-1" y="-1" width="2" height="2"/>
        <circle id="gpPt6" fill="currentColor" r="1"/>
        <path id="gpPt8" fill="currentColor" d="M0,-1.33 L-1.33,0.67 L1.33,0.67 z"/>
        <path id="gpPt12" fill="currentColor" d="M0,-1.41 L1.41,0 L0,1.41 L-1.41,0 z"/>
        </defs></svg>

        """

    /// Prepares what gnuplot wrote.
    ///
    /// - Parameters:
    ///   - svg: the whole file.
    ///   - figure: what it shows.
    init(_ svg: String, of figure: Figure) {
        let size = figure.size
        var body = svg
        // From behind the definitions to the end of the picture.
        if let start = body.range(of: "</defs>") { body = String(body[start.upperBound...]) }
        if let end = body.range(of: "</svg>", options: .backwards) { body = String(body[..<end.lowerBound]) }
        // The picture's own group was opened before the definitions.
        if let end = body.range(of: "</g>", options: .backwards) { body.removeSubrange(end) }
        let plain: [(String, String)] = [
            (#"<title>[^<]*</title>"#, ""), (#" id="[^"]*""#, ""),
            // White rings around points, which on another background are not white.
            (#"<use [^>]*color='white'/>"#, ""), (#" font-family="[^"]*""#, ""),
            (#"<tspan *>([^<]*)</tspan>"#, "$1"), (#" class="gridline""#, ""),
            (#"xlink:href='#gpPt(\d+)'"#, "href=\"#gpPt$1\""), (#"\s+'/>"#, "'/>"),
            (#"\s*stroke-linecap="round" stroke-linejoin="round""#, ""),
            (#" fill="none" color="gray""#, " fill=\"none\""),
            (#"<text>\s*"#, "<text>"),
        ]
        for (pattern, replacement) in plain {
            body = body.replacingOccurrences(of: pattern, with: replacement, options: .regularExpression)
        }
        // A tenth of a pixel is enough; numbers that are told stay as they are.
        body = body.replacing(#/ d='[^']*'|translate\([^)]*\)/#) { match in
            match.output.replacing(#/(\.\d)\d/#) { $0.output.1 }
        }
        // Groups that hold nothing, and those that held nothing else.
        let empty = #"<g[^>]*>\s*</g>\s*"#
        while body.range(of: empty, options: .regularExpression) != nil {
            body = body.replacingOccurrences(of: empty, with: "", options: .regularExpression)
        }
        for color in PlotColor.allCases {
            let parts = Self.parts(of: color.light)
            let pattern = "rgb\\( *\(parts[0]), *\(parts[1]), *\(parts[2])\\)"
            body = body.replacingOccurrences(of: pattern, with: color.variable, options: .regularExpression)
        }
        body = body.replacing("\"black\"", with: "\"\(PlotColor.ink.variable)\"")
        body = body.replacingOccurrences(of: #"\n\s*\n"#, with: "\n", options: .regularExpression)
        let frame = figure.frame.map { " data-frame=\"\($0.attribute)\"" } ?? ""
        markup = """
            <svg id="\(figure.id)" viewBox="0 0 \(size.width) \(size.height)" role="img" \
            aria-label="\(HTML.escaped(figure.alternative))"\(frame) stroke-linecap="round" stroke-linejoin="round">\
            <title>\(HTML.escaped(figure.title))</title>
            \(body)</svg>
            """
    }

    private static func parts(of color: String) -> [Int] {
        let digits = Array(color.dropFirst())
        return [0, 2, 4].map { Int(String(digits[$0...($0 + 1)]), radix: 16)! }
    }
}
