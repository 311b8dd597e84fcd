import FeatureCache

/// What `beem features inspect` tells.
public struct CacheSummaryText: Sendable {
    private let summary: FeatureCacheSummary

    /// Collects what is told.
    public init(_ summary: FeatureCacheSummary) { self.summary = summary }

    /// The samples, then the exits, then the metadata.
    public var text: String {
        let groups = summary.groupCount.map { ", \(Format.count($0)) groups" } ?? ""
        let shards = summary.rowShards.map { " in \(Format.count($0)) shard\($0 == 1 ? "" : "s")" } ?? ""
        let size = Format.count((summary.byteCount + 1_048_575) / 1_048_576)
        var lines = [
            "\(summary.path): \(Format.count(summary.sampleCount)) samples\(shards)\(groups), \(size) MiB, every value finite"
        ]
        lines.append("Classes: " + Self.list(summary.classes))
        lines.append("Splits:  " + (summary.splits.isEmpty ? "none stored" : Self.list(summary.splits)))
        var table = TextTable([
            ("exit", .left), ("name", .left), ("width", .right), ("before compression", .right), ("type", .left),
        ])
        for (index, exit) in summary.exits.enumerated() {
            table.add(["\(index)", exit.name, "\(exit.width)", exit.fullWidth.map { "\($0)" } ?? "-", exit.type])
        }
        let unknown = summary.tensors.filter { !$0.isKnown }.map(\.name)
        var ending = summary.metadata.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        if !unknown.isEmpty { ending.append("Not part of a feature cache: \(unknown.joined(separator: ", "))") }
        return (lines + ["", table.text] + ending).joined(separator: "\n") + "\n"
    }

    private static func list(_ counts: [FeatureCacheSummary.Count]) -> String {
        counts.map { "\($0.name) \(Format.count($0.samples))" }.joined(separator: ", ")
    }
}

/// What `beem features compress` tells.
public struct CompressionText: Sendable {
    private let result: FeatureCompressor.Result
    private let names: [String]

    /// Collects what is told.
    public init(_ result: FeatureCompressor.Result, names: [String]) {
        self.result = result
        self.names = names
    }

    /// One line for each exit.
    public var text: String {
        var table = TextTable([
            ("exit", .left), ("name", .left), ("before", .right), ("after", .right), ("variance kept", .right),
        ])
        for (exit, name) in names.enumerated() {
            table.add([
                "\(exit)", name, "\(result.fullWidths[exit])", "\(result.widths[exit])",
                Format.percent(result.keptVariance[exit]),
            ])
        }
        return table.text
    }
}

/// What `beem features compress --json` prints.
public struct CompressionJSON: Encodable, Sendable {
    /// The cache that was written.
    public var file: String
    /// [exits]: widths before.
    public var fullWidths: [Int]
    /// [exits]: widths after.
    public var widths: [Int]
    /// [exits]: the fraction of the standardised features' variance that the components hold.
    public var keptVariance: [Double]

    /// Collects the numbers.
    public init(_ result: FeatureCompressor.Result, file: String) {
        self.file = file
        fullWidths = result.fullWidths
        widths = result.widths
        keptVariance = result.keptVariance
    }
}
