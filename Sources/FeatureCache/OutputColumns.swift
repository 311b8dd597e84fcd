import ExitRules

/// Which columns of a table hold what, for exit outputs in CSV or TSV.
///
/// In long form there is a row for each sample and exit, and `sample` and `exit` name the columns that say which. In wide
/// form there is a row for each sample, and `label`, `confidence`, `margin` and `entropy` are patterns in which `{exit}`
/// stands for the exit's number: `conf_branch_{exit}`.
public struct OutputColumns: Equatable, Sendable {
    /// What stands for the exit's number in a pattern.
    public static let placeholder = "{exit}"

    /// Long form: the column that tells samples apart.
    public var sample: String
    /// Long form: the column with the exit's number.
    public var exit: String
    /// The column of the true label.
    public var target: String
    /// The label an exit gives.
    public var label: String
    /// Its confidence, by what it measures; `entropy` is the entropy in nats. Empty where the table has none, and then only
    /// rules that ask for none can be used. nil: in long form the column `confidence` where there is one, in wide form none.
    public var confidences: [ConfidenceMeasure: String]?
    /// The column of the split: `train`, `tune`, `certify` or `test`, or its code.
    public var split: String?
    /// The column of the group.
    public var group: String?
    /// The column of the subgroup.
    public var subgroup: String?

    /// Creates columns; the defaults are the long form's usual names.
    public init(
        sample: String = "sample", exit: String = "exit", target: String = "target", label: String = "label",
        confidences: [ConfidenceMeasure: String]? = nil, split: String? = nil,
        group: String? = nil, subgroup: String? = nil
    ) {
        self.sample = sample
        self.exit = exit
        self.target = target
        self.label = label
        self.confidences = confidences
        self.split = split
        self.group = group
        self.subgroup = subgroup
    }

    /// The columns of confidence in a table.
    func confidences(in table: DelimitedTable) -> [ConfidenceMeasure: String] {
        if let confidences { return confidences }
        let usual = "confidence"
        return !isWide && table.header.contains(usual) ? [.maxProbability: usual] : [:]
    }

    /// Whether a row is a sample with all its exits.
    public var isWide: Bool { label.contains(Self.placeholder) }
}
