import ExitPolicy

/// The decisions of `beem apply` in the forms it writes them.
public struct DecisionTable: Sendable {
    private let rows: [Int]
    private let decisions: [ExitDecision]

    /// Pairs samples' rows with what was decided of them.
    public init(rows: [Int], decisions: [ExitDecision]) {
        precondition(rows.count == decisions.count, "a decision for each row")
        self.rows = rows
        self.decisions = decisions
    }

    /// A header, and a line for each sample.
    public var csv: String {
        var text = "sample,exit,label,score,cost\n"
        for (row, decision) in zip(rows, decisions) {
            text += "\(row),\(decision.exit),\(Self.label(decision)),\(decision.score),\(decision.cost)\n"
        }
        return text
    }

    /// An object on a line of its own for each sample.
    public var jsonLines: String { objects.map { $0 + "\n" }.joined() }

    /// One array of the same objects.
    public var jsonArray: String { rows.isEmpty ? "[]\n" : "[\n" + objects.joined(separator: ",\n") + "\n]\n" }

    private var objects: [String] {
        zip(rows, decisions).map { row, decision in
            """
            {"sample":\(row),"exit":\(decision.exit),"label":\(Self.label(decision)),"score":\(decision.score),\
            "cost":\(decision.cost)}
            """
        }
    }

    private static func label(_ decision: ExitDecision) -> String {
        decision.number.map { "\($0)" } ?? "\(decision.label)"
    }
}

/// What `beem apply --output FILE --json` prints.
public struct WrittenDecisions: Encodable, Equatable, Sendable {
    /// The file.
    public var file: String
    /// csv or jsonl.
    public var format: String
    /// How many samples.
    public var samples: Int
    /// [exits]: how many of them leave there.
    public var leaving: [Int]

    /// Counts decisions.
    public init(file: String, format: String, decisions: [ExitDecision], exitCount: Int) {
        self.file = file
        self.format = format
        samples = decisions.count
        leaving = [Int](repeating: 0, count: exitCount)
        for decision in decisions { leaving[decision.exit] += 1 }
    }
}
