/// A whole page around its content: one file that needs no other, from no network.
struct PageFrame {
    /// The title of the window.
    var title: String
    /// What stands in the page.
    var content: HTML
    /// Whether the page has the explorer, which needs its script.
    var hasScript = false

    /// The file's text.
    var text: String {
        let light = PlotColor.declarations(\.light) + " --page: #ffffff; --card: #f5f7f9;"
        let dark = PlotColor.declarations(\.dark) + " --page: #14191f; --card: #1d242c;"
        let script: HTML =
            hasScript ? HTML(markup: "<script>\n\(Self.asset(PackageResources.report_js))</script>\n") : ""
        // A printed page is light, whatever the screen is.
        let style = HTML(
            markup: """
                :root { \(light) }
                @media screen and (prefers-color-scheme: dark) { :root { \(dark) } }
                \(Self.asset(PackageResources.report_css))
                """)
        let page: HTML = """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="generator" content="beem">
            <link rel="icon" href="data:,">
            <title>\(title)</title>
            <style>
            \(style)</style>
            </head>
            <body>
            \(HTML(markup: PlotPicture.sharedDefinitions))\(content)\(script)</body>
            </html>

            """
        return page.text
    }

    private static func asset(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
