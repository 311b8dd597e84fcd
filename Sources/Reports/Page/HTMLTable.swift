/// A table of a page.
struct HTMLTable {
    private let caption: String
    private let columns: [(title: String, alignment: TextTable.Alignment)]
    private var rows: [HTML] = []

    /// Creates a table from its columns.
    init(_ caption: String, _ columns: [(title: String, alignment: TextTable.Alignment)]) {
        self.caption = caption
        self.columns = columns
    }

    /// Adds a row, one cell for each column.
    mutating func add(_ cells: [HTML], isMarked: Bool = false) {
        precondition(cells.count == columns.count, "a cell for each column")
        let html = zip(cells, columns).map { cell, column -> HTML in
            column.alignment == .right ? "<td class=\"number\">\(cell)</td>" : "<td>\(cell)</td>"
        }
        rows.append(isMarked ? "<tr class=\"marked\">\(html)</tr>\n" : "<tr>\(html)</tr>\n")
    }

    /// The table; wide ones scroll inside their frame.
    var html: HTML {
        let titles = columns.map { column -> HTML in
            column.alignment == .right
                ? "<th scope=\"col\" class=\"number\">\(column.title)</th>" : "<th scope=\"col\">\(column.title)</th>"
        }
        return """
            <div class="table" role="region" aria-label="\(caption)" tabindex="0"><table>
            <caption>\(caption)</caption>
            <thead><tr>\(titles)</tr></thead>
            <tbody>
            \(rows)</tbody>
            </table></div>

            """
    }
}
