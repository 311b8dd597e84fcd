import Foundation
import Safetensors
import TestSupport
import Testing

@testable import FeatureCache

@Suite("A table in CSV or TSV")
struct DelimitedTableTests {
    private static func table(_ text: String, as path: String = "table.csv") throws -> DelimitedTable {
        try DelimitedTable(parsing: text, path: path)
    }

    // MARK: What is read

    @Test(
        "has the same texts with commas and tabs, with and without a byte order mark, with either line break",
        arguments: ["table.csv", "TABLE.CSV", "table.tsv", "TABLE.TSV", "table.txt"], ["", "\u{FEFF}"])
    func forms(path: String, mark: String) throws {
        let delimiter = path.lowercased().hasSuffix(".tsv") ? "\t" : ","
        for lineBreak in ["\n", "\r\n"] {
            for ending in ["", lineBreak, lineBreak + lineBreak + lineBreak] {
                let rows = [["id", "label", "note"], ["1", "cat", ""], ["2", "", "Zoë"]]
                let text = mark + rows.map { $0.joined(separator: delimiter) }.joined(separator: lineBreak) + ending
                let table = try Self.table(text, as: path)
                #expect(table.header == rows[0] && table.rows == Array(rows.dropFirst()) && table.rowCount == 2)
                #expect(table.path == path)
            }
        }
    }

    @Test("is read from a file, with and without a byte order mark")
    func file() throws {
        let folder = try TemporaryFolder()
        for mark: [UInt8] in [[], [0xEF, 0xBB, 0xBF]] {
            let path = try folder.write(Data(mark) + Data("label,é\r\n3,4\r\n".utf8), as: "table.csv")
            let table = try DelimitedTable(reading: path)
            #expect(table.header == ["label", "é"] && table.rows == [["3", "4"]] && table.path == path)
        }
    }

    @Test("keeps delimiters, quotes and line breaks that are quoted")
    func quotes() throws {
        let text = #"""
            "a, ""b""",c
            "x, y",1
            "say ""no""", 2
            "two
            lines",3
            "",4
            "  kept ",5

            """#
        let table = try Self.table(text)
        #expect(table.header == ["a, \"b\"", "c"])
        #expect(try table.texts("a, \"b\"") == ["x, y", "say \"no\"", "two\nlines", "", "  kept "])
        #expect(try table.numbers("c") == [1, 2, 3, 4, 5])
        let tabbed = try Self.table("a\tb\n\"x\ty\"\t1,5\n", as: "table.tsv")
        #expect(tabbed.rows == [["x\ty", "1,5"]])
    }

    @Test("may have an index column without a name, as pandas writes it")
    func unnamedColumn() throws {
        let table = try Self.table(",label\n0,cat\n1,dog\n")
        #expect(try table.texts("label") == ["cat", "dog"])
        #expect(try table.texts("") == ["0", "1"])
    }

    @Test("keeps an empty text at the end of the last line, with and without a line break after it")
    func emptyLastText() throws {
        #expect(try Self.table("a,b\n1,2\n3,").rows == [["1", "2"], ["3", ""]])
        #expect(try Self.table("a,b\n1,2\n3,\n").rows == [["1", "2"], ["3", ""]])
    }

    @Test("gives numbers as Double, with blanks around them")
    func numbers() throws {
        let table = try Self.table("x,n\n 0.1 ,3\n-1e-3,3.0\n\"2\",-7e0\n")
        #expect(try table.numbers("x") == [0.1, -0.001, 2])
        #expect(try table.integers("n") == [3, 3, -7])
    }

    @Test("finds the numbers for which a pattern is a column, ascending, each once")
    func patterns() throws {
        let header = ["", "label_10", "label_2", "label_", "label_x", "label_01", "label_+3", "label_-1", "7", "٣"]
        let table = try Self.table(
            (header + ["label_2", "3_label", "label_3 (copy)"]).joined(separator: ",") + "\n" + commas(12))
        #expect(table.numbers(matching: "label_{exit}") == [2, 10])
        #expect(table.numbers(matching: "{exit}") == [7])
        #expect(table.numbers(matching: "{exit}_label") == [3])
        #expect(table.numbers(matching: "label_{exit} (copy)") == [3])
        #expect(table.numbers(matching: "label_2").isEmpty && table.numbers(matching: "{exit}{exit}").isEmpty)
        let overlapping = try Self.table("aba,ab1ba\n,\n")
        #expect(overlapping.numbers(matching: "ab{exit}ba") == [1])
    }

    private func commas(_ count: Int) -> String { String(repeating: ",", count: count) + "\n" }

    // MARK: What is refused

    /// Text that is no table.
    struct BadText: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var text: String
        var path = "table.csv"
        var item: String?
        var mentions: [String]

        init(
            _ testDescription: String, _ text: String, path: String = "table.csv", item: String? = nil,
            _ mentions: String...
        ) {
            self.testDescription = testDescription
            self.text = text
            self.path = path
            self.item = item
            self.mentions = mentions
        }
    }

    static let badTexts: [BadText] = [
        BadText("nothing", "", "an empty file", "a header and rows"),
        BadText("blank lines alone", "\n\n \n", "an empty file"),
        BadText("a byte order mark alone", "\u{FEFF}", "an empty file"),
        BadText("a header alone", "a,b\n", "a header and no rows"),
        BadText("a header and blank lines", "a,b\r\n\r\n", "a header and no rows"),
        BadText("a row that is too short", "a,b\n1,2\n3\n4,5\n", item: "row 2", "1 texts", "expected 2", "delimiter"),
        BadText("a row that is too long", "a,b\n1,2,3\n", item: "row 1", "3 texts", "expected 2"),
        BadText("a blank line between rows", "a,b\n1,2\n\n3,4\n", item: "row 2", "1 texts"),
        BadText("a quote inside a text", "a,b\n1,2\" 3\n", "cannot be parsed", "a table in CSV", "written twice"),
        BadText("a text after a quoted text", "a\tb\n\"1\"x\t2\n", path: "t.tsv", "cannot be parsed", "a table in TSV"),
        BadText("a quote that is not closed", "a,b\n1,\"2\n3,4\n5,6\n", "quote"),
        BadText("a quote that the end of the file closes", "a,b\n1,2\n3,\"4", "quote"),
        BadText("a quote alone at the end", "a,b\n1,2\n3,4\"", "quote"),
    ]

    @Test("is refused when its text has", arguments: badTexts)
    func refusesText(_ bad: BadText) throws {
        let error = try #require(throws: InputError.self) { try Self.table(bad.text, as: bad.path) }
        #expect(error.kind == .malformed && error.file == bad.path && error.item == bad.item, "\(error)")
        for text in bad.mentions { #expect(error.description.contains(text), "\(error)") }
    }

    @Test("is refused when it is not there, or not UTF-8")
    func unreadable() throws {
        let folder = try TemporaryFolder()
        let latin = try folder.write(Data([0x61, 0x2C, 0xE9, 0x0A, 0x31, 0x2C, 0x32, 0x0A]), as: "latin.csv")
        let wide = try folder.write(Data([0xFF, 0xFE, 0x61, 0x00, 0x0A, 0x00]), as: "utf16.csv")
        for path in [latin, wide, folder.file("none.csv"), folder.path] {
            let error = try #require(throws: InputError.self) { try DelimitedTable(reading: path) }
            #expect(error.kind == .unreadable && error.file == path && error.item == nil)
            #expect(error.description.contains("UTF-8") && error.description.contains("a table in CSV or TSV"))
        }
    }

    @Test("names the nearest column when one is not there")
    func missingColumn() throws {
        let table = try Self.table("target,label_0,confidence_0\na,b,1\n")
        let near = try #require(throws: InputError.self) { try table.texts("targets") }
        #expect(near.kind == .missing && near.file == "table.csv" && near.item == "column 'targets'")
        #expect(near.seen == "no such column" && near.expected == "one of target, label_0, confidence_0")
        #expect(near.advice == "Did you mean `target`?")
        let far = try #require(throws: InputError.self) { try table.numbers("time in ms") }
        #expect(far.kind == .missing && far.advice == "Name the columns in the recipe.")
        let many = try Self.table((0..<30).map { "c\($0)" }.joined(separator: ",") + "\n" + commas(29))
        let long = try #require(throws: InputError.self) { try many.texts("something") }
        #expect(long.expected.hasSuffix("c18, c19, ..."))
    }

    @Test("says when two columns have the name")
    func duplicateColumn() throws {
        let table = try Self.table("a,b,a\n1,2,3\n")
        #expect(try table.texts("b") == ["2"])
        let error = try #require(throws: InputError.self) { try table.texts("a") }
        #expect(error.kind == .malformed && error.item == "column 'a'")
        #expect(error.seen == "2 columns of that name" && error.expected == "one")
    }

    @Test(
        "names the row and the column of a text that is no finite number",
        arguments: [
            ("", InputError.Kind.malformed, "nothing"), ("high", .malformed, "'high'"), ("0,5", .malformed, "'0,5'"),
            ("NA", .malformed, "'NA'"), ("nan", .notFinite, "'nan'"), ("NaN", .notFinite, "'NaN'"),
            ("inf", .notFinite, "'inf'"), ("-Infinity", .notFinite, "'-Infinity'"), ("1e999", .notFinite, "'1e999'"),
        ])
    func badNumber(text: String, kind: InputError.Kind, seen: String) throws {
        let table = try Self.table("a,x\n0,1\n0,2\n0,\"\(text)\"\n0,inf\n")
        let error = try #require(throws: InputError.self) { try table.numbers("x") }
        #expect(error.kind == kind && error.file == "table.csv" && error.item == "row 3, column 'x'", "\(error)")
        #expect(error.seen == seen && error.expected == "a finite number")
    }

    @Test("names the row and the column of a number that is not whole", arguments: ["0.5", "1e10", "-4294967296"])
    func badInteger(text: String) throws {
        let error = try #require(throws: InputError.self) { try Self.table("n\n1\n\(text)\n").integers("n") }
        #expect(error.kind == .malformed && error.item == "row 2, column 'n'", "\(error)")
        #expect(error.expected == "a whole number of 32 bits")
    }
}

@Suite("Measurements of exits in a table")
struct MeasurementsTests {
    private let wide = """
        id,time_1,time_2,time_3
        a,1,2,3
        b,1.5,2.5,3.5
        c,1.25,2.25,4

        """
    /// The samples first appear as c, a, b.
    private let long = """
        sample,exit,time
        c,2,2.25
        a,1,1
        a,3,3
        b,1,1.5
        c,1,1.25
        c,3,4
        b,3,3.5
        a,2,2
        b,2,2.5

        """

    @Test("are the columns of a pattern")
    func wideForm() throws {
        let table = try DelimitedTable(parsing: wide, path: "times.csv")
        let all = try table.measurements("time_{exit}", columns: OutputColumns())
        #expect(all == [[1, 1.5, 1.25], [2, 2.5, 2.25], [3, 3.5, 4]])
        let some = try table.measurements("time_{exit}", columns: OutputColumns(), samples: [2, 0])
        #expect(some == [[1.25, 1], [2.25, 2], [4, 3]])
    }

    @Test("are the rows of each exit in long form, which need no samples")
    func longForm() throws {
        let table = try DelimitedTable(parsing: long, path: "times.csv")
        let all = try table.measurements("time", columns: OutputColumns())
        #expect(all == [[1, 1.5, 1.25], [2.25, 2, 2.5], [3, 4, 3.5]])
        let some = try table.measurements("time", columns: OutputColumns(), samples: [0, 2])
        #expect(some == [[1.5, 1.25], [2.25, 2.5], [4, 3.5]])
        let other = try DelimitedTable(parsing: "layer,ms\n0,1\n1,2\n1,4\n", path: "times.csv")
        #expect(try other.measurements("ms", columns: OutputColumns(exit: "layer")) == [[1], [2, 4]])
    }

    @Test("choose the samples that exit outputs of the same table call by these numbers")
    func sameNumbers() throws {
        let folder = try TemporaryFolder()
        // Each label is the sample's own, so that it tells which sample it is of.
        let lines = long.split(separator: "\n").enumerated().map { number, line in
            number == 0 ? "\(line),target,label" : "\(line),\(line.prefix(1)),\(line.prefix(1))"
        }
        let path = try folder.write(lines.joined(separator: "\n"), as: "outputs.csv")
        let columns = OutputColumns(confidences: [:])
        let outputs = try RecordedOutputs(reading: path, columns: columns)
        let place = try #require(outputs.samples.labels.firstIndex(of: 2))
        #expect(outputs.samples.classes == ["a", "b", "c"] && place == 0)
        let times = try DelimitedTable(reading: path).measurements("time", columns: columns, samples: [place])
        #expect(times == [[1.25], [2.25], [4]])
    }

    @Test(
        "are refused with exits left out",
        arguments: [
            ("time_{exit}", "time_0,time_2\n1,2\n", InputError.Kind.missing, "column 'time_1'"),
            ("time_{exit}", "tim_0,tim_1\n1,2\n", .missing, "column 'time_{exit}'"),
            ("time", "exit,time\n0,1\n2,1\n", .malformed, "column 'exit'"),
            ("time", "exit,tim\n0,1\n1,1\n", .missing, "column 'time'"),
            ("time", "layer,time\n0,1\n1,1\n", .missing, "column 'exit'"),
            ("time", "exit,time\n0,1\n1,fast\n", .malformed, "row 2, column 'time'"),
            ("time", "exit,time\n0,1\nlast,1\n", .malformed, "row 2, column 'exit'"),
        ])
    func refused(column: String, text: String, kind: InputError.Kind, item: String) throws {
        let table = try DelimitedTable(parsing: text, path: "times.csv")
        let error = try #require(throws: InputError.self) { try table.measurements(column, columns: OutputColumns()) }
        #expect(error.kind == kind && error.file == "times.csv" && error.item == item, "\(error)")
    }
}
