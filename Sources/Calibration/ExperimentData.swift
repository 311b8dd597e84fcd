import FeatureCache
import Ranks
import Safetensors

/// What an experiment works on: what the exits see, or what they said.
public enum ExperimentData: Sendable {
    /// Features of a frozen backbone, on which heads are trained.
    case features(FeatureCache)
    /// What exits that were trained elsewhere said.
    case outputs(RecordedOutputs)

    /// Opens what a recipe names.
    ///
    /// - Parameters:
    ///   - choice: the recipe's.
    ///   - ranks: who opens it at the same time.
    /// - Throws: `InputError` for whatever is wrong with the file.
    public init(_ choice: Recipe.DataChoice, ranks: any Communicator = OneProcess()) throws(InputError) {
        switch choice {
        case .features(let path): self = .features(try FeatureCache(opening: path, ranks: ranks))
        case .outputs(let choice): self = .outputs(try choice.open(ranks: ranks))
        }
    }

    /// Truth, classes, exits, splits and groups.
    public var samples: LabelledSamples {
        switch self {
        case .features(let cache): cache.samples
        case .outputs(let outputs): outputs.samples
        }
    }

    /// The data of a network that has only some of the exits.
    func selecting(exits: [Int]) -> ExperimentData {
        switch self {
        case .features(let cache): .features(cache.selecting(exits: exits))
        case .outputs(let outputs): .outputs(outputs.selecting(exits: exits))
        }
    }

    /// The SHA-256 of the file.
    ///
    /// - Complexity: O(bytes), the first time it is asked for.
    public func sha256() -> String {
        switch self {
        case .features(let cache): cache.sha256()
        case .outputs(let outputs): outputs.sha256
        }
    }

    /// Makes the hash on all ranks at the same time.
    func shareHash(among ranks: any Communicator) {
        switch self {
        case .features(let cache): cache.shareHash()
        case .outputs(let outputs): outputs.shareHash(among: ranks)
        }
    }

    /// What is unusual about the data, and accepted.
    public var warnings: [String] {
        switch self {
        case .features: []
        case .outputs(let outputs): outputs.warnings
        }
    }
}

extension Recipe {
    /// Where the data are.
    public enum DataChoice: Equatable, Sendable {
        /// A feature cache.
        case features(String)
        /// Exit outputs.
        case outputs(OutputsChoice)

        /// The file.
        public var path: String {
            switch self {
            case .features(let path): path
            case .outputs(let choice): choice.file
            }
        }
    }

    /// A file of exit outputs, and how to read it.
    public struct OutputsChoice: Equatable, Sendable {
        /// A table where the name ends in `.csv` or `.tsv`, safetensors otherwise.
        public var file: String
        /// Which columns of a table hold what.
        public var columns: OutputColumns
        /// The classes of a table in order; nil: those that occur.
        public var classes: [String]?

        /// Creates a choice.
        public init(file: String, columns: OutputColumns = OutputColumns(), classes: [String]? = nil) {
            self.file = file
            self.columns = columns
            self.classes = classes
        }

        /// Whether the file is a table.
        public var isTable: Bool { [".csv", ".tsv"].contains { file.lowercased().hasSuffix($0) } }

        /// Opens the file.
        ///
        /// - Parameter ranks: who opens it at the same time.
        /// - Throws: `InputError` for whatever is wrong with it.
        public func open(ranks: any Communicator = OneProcess()) throws(InputError) -> RecordedOutputs {
            isTable
                ? try RecordedOutputs(reading: file, columns: columns, classes: classes)
                : try RecordedOutputs(opening: file, classes: classes, ranks: ranks)
        }
    }
}
