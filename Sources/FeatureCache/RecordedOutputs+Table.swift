import ExitRules
import Safetensors

extension RecordedOutputs {
    /// Reads exit outputs from a CSV or TSV file.
    ///
    /// - Parameters:
    ///   - path: the table, CSV or TSV.
    ///   - columns: which column holds what.
    ///   - classes: their names in order; nil: those that occur, whole numbers by value and texts by the alphabet.
    /// - Throws: `InputError` that names the row and the column: for a column that is not there, a text that is no number,
    ///   a class that is not listed, and in long form for a sample that lacks an exit, has one twice, or has two truths.
    /// - Complexity: O(bytes of the table).
    public init(
        reading path: String, columns: OutputColumns = OutputColumns(), classes: [String]? = nil
    ) throws(InputError) {
        let table = try DelimitedTable(reading: path)
        let wide =
            columns.isWide ? try WideOutputs(table, columns: columns) : try LongOutputs(table, columns: columns).wide
        let codes = try ClassCodes(
            of: Set(wide.target).union(wide.labels.flatMap { Set($0) }), listed: classes, file: path)
        let groups = try wide.group.map(Self.numbered)
        let subgroups = wide.subgroup.map { ClassOrder($0) }
        let samples = LabelledSamples(
            path: path, labels: wide.target.map { codes[$0] }, classes: codes.names,
            exitNames: wide.exits.map { "exit \($0)" }, storedSplit: wide.split, groups: groups,
            subgroups: subgroups?.codes, subgroupNames: subgroups?.names ?? [], trainsHeads: false)
        let confidences = Dictionary(
            uniqueKeysWithValues: wide.confidences.map { measure, rows in
                (
                    measure,
                    rows.map { SampleColumn(measure.confidences(recorded: $0, classCount: codes.names.count)) }
                )
            })
        self.init(
            samples: samples, labels: wide.labels.map { row in SampleColumn(row.map { codes[$0] }) },
            source: .confidences(confidences), digest: Digest(try Safetensors.sha256(ofFile: path)))
    }

    /// Texts as numbers, in the order of their first appearance.
    private static func numbered(_ texts: [String]) throws(InputError) -> [Int32] {
        var numbers: [String: Int32] = [:]
        return texts.map { text in
            let number = numbers[text] ?? Int32(numbers.count)
            numbers[text] = number
            return number
        }
    }
}

/// Texts numbered by the alphabet.
private struct ClassOrder {
    let names: [String]
    let codes: [Int32]

    init(_ texts: [String]) {
        let names = Set(texts).sorted()
        let places = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, Int32($0)) })
        self.names = names
        codes = texts.map { places[$0]! }
    }
}
