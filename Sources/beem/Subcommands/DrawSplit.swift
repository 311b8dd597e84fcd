import ArgumentParser
import FeatureCache
import Reports
import Safetensors

extension Features {
    /// `beem features split`
    struct DrawSplit: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "split",
            abstract: "Draw splits and store them in a copy of a cache.",
            discussion: """
                Example: beem features split features.safetensors --train 0.5 --tune 0.15 --certify 0.2 --test 0.15 \
                --output split.safetensors

                Without --train, the stored train split stays, and the fractions are of what is not in it. \
                The copy is one file, also of a cache in shards.
                """)

        @Argument(help: "The feature cache.", completion: .file(extensions: ["safetensors", "index.json"]))
        var features: String
        @Option(help: "The train split's fraction of all samples.")
        var train: Double?
        @Option(help: "The tune split's fraction.")
        var tune: Double
        @Option(help: "The certify split's fraction.")
        var certify: Double
        @Option(help: "The test split's fraction.")
        var test: Double
        @Option(help: "What splits are drawn with.")
        var seed: UInt64 = 0
        @OptionGroup var target: CacheOption
        @OptionGroup var printing: PrintingOptions

        func validate() throws {
            for fraction in [train, tune, certify, test] {
                if let fraction, !(fraction > 0 && fraction < 1) {
                    throw ValidationError("fractions lie between 0 and 1")
                }
            }
        }

        func run() throws {
            let cache = try FeatureCache(opening: features)
            let plan: SplitPlan =
                train.map { .fractions(train: $0, tune: tune, certify: certify, test: test) }
                ?? .storedTrain(tune: tune, certify: certify, test: test)
            try cache.write(to: target.output, splits: plan.draw(from: cache, seed: seed))
            let summary = try FeatureCache(opening: target.output, checkValues: false).summary
            try printing.print(CacheSummaryText(summary).text, json: summary)
            printing.note("Wrote \(target.output).")
            printing.suggest(NextCommand(preparing: summary) ?? NextCommand("features", "inspect", target.output))
        }
    }
}
