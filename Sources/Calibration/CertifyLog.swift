import FeatureCache
import Foundation
import Safetensors

/// Who has used a certify split: `certify-log.jsonl`, in the folder that holds the output folder.
///
/// A certificate's failure probability is that of one look at the certify split. Choosing among recipes, rules or gaps
/// by looking at their certificates voids it, so every look is written down before it happens, and counted. The same
/// run repeated is the same look.
public struct CertifyLog: Sendable {
    /// The file.
    public let path: String

    /// One use, as a line of the file.
    struct Use: Codable, Equatable, Sendable {
        /// The hash of the certify split's rows and labels.
        var certify: String
        /// The hash of the feature cache, or of the exit outputs.
        var features: String
        /// The hash of the recipe's text, or of the policy that was certified and of what was claimed of it.
        var recipe: String
        /// The recipe's name, for people.
        var name: String
        /// The seed.
        var seed: UInt64
        /// The hash of the heads' file; empty where there are none.
        var heads: String
        /// What was done: `calibrate`, `spend` or `compare` with the number of uses, or `certify`.
        var action: String
    }

    /// How often a certify split has been used.
    public struct Usage: Equatable, Sendable {
        /// Different runs on this certify split, the one at hand included.
        public let uses: Int
        /// Different other draws of certify splits from the same features.
        public let otherDraws: Int
        /// The place of the run at hand among those uses, in the order of time, from 1.
        public let place: Int

        /// Creates a usage; without a place the run at hand is the last.
        public init(uses: Int, otherDraws: Int, place: Int? = nil) {
            self.uses = uses
            self.otherDraws = otherDraws
            self.place = place ?? uses
        }
    }

    /// The log beside an output folder.
    public init(besideOutput folder: String) {
        path =
            URL(fileURLWithPath: folder).standardizedFileURL.deletingLastPathComponent()
            .appendingPathComponent("certify-log.jsonl").path
    }

    /// The log for the output folder that a policy is in.
    public init(besidePolicy file: String) {
        self.init(besideOutput: URL(fileURLWithPath: file).standardizedFileURL.deletingLastPathComponent().path)
    }

    /// Writes a use down, unless the same one is there already, and counts. To be called before certify is looked at.
    ///
    /// - Throws: `InputError` when the log cannot be read or written to, or a line is not what it should be.
    /// - Complexity: O(lines), and the features' bytes for their hash.
    public func record(_ experiment: Experiment, headsFile: String?, action: Action) throws(InputError) -> Usage {
        try record(
            Use(
                certify: Self.hash(of: experiment.splits.certify, in: experiment.samples),
                features: experiment.dataHash, recipe: experiment.recipe.textHash, name: experiment.recipe.name,
                seed: experiment.recipe.seed,
                heads: try headsFile.map { file throws(InputError) in try sha256(ofFile: file) } ?? "",
                action: action.name))
    }

    /// Writes down that a policy fixed elsewhere is certified on some rows. Another gap, reference or loss is another use;
    /// a certificate that the policy had before makes none.
    public func record(
        _ applied: AppliedPolicy, rows: [Int], guarantee: Recipe.Guarantee, gaps: [Double] = []
    ) throws(InputError) -> Usage {
        var policy = applied.policy
        policy.certificate = nil
        let told =
            gaps.count > 1 ? gaps.sorted(by: >).map { "\($0)" }.joined(separator: ",") : "\(guarantee.allowedGap)"
        let claim =
            "\(told) \(guarantee.failureProbability) \(guarantee.reference) \(guarantee.loss) "
            + "\(guarantee.uses)"
        return try record(
            Use(
                certify: Self.hash(of: rows, in: applied.samples), features: applied.dataHash,
                recipe: sha256(of: policy.encoded() + Data(claim.utf8)), name: applied.policy.name, seed: 0,
                heads: applied.policy.heads?.sha256 ?? "", action: Action.certify.name))
    }

    /// What a certify split was used for.
    public enum Action: Equatable, Sendable {
        /// One calibration.
        case calibrate
        /// A trade-off table with the level divided over so many uses.
        case spend(uses: Int)
        /// The best rules of a comparison, with the level divided over so many uses.
        case compare(uses: Int)
        /// One test of a policy fixed elsewhere.
        case certify

        var name: String {
            switch self {
            case .calibrate: "calibrate"
            case .spend(let uses): "spend \(uses)"
            case .compare(let uses): "compare \(uses)"
            case .certify: "certify"
            }
        }
    }

    /// The hash of a split: of the rows and their labels, whatever the features.
    static func hash(of rows: [Int], in samples: LabelledSamples) -> String {
        let words = [Int32](unsafeUninitializedCapacity: 2 * rows.count) { words, count in
            for (place, row) in rows.enumerated() {
                words[2 * place] = Int32(row).littleEndian
                words[2 * place + 1] = samples.labels[row].littleEndian
            }
            count = 2 * rows.count
        }
        return sha256(of: words.withUnsafeBytes { Data($0) })
    }

    func record(_ use: Use) throws(InputError) -> Usage {
        var uses = try read()
        if !uses.contains(use) {
            try append(use)
            uses.append(use)
        }
        let draws = Set(uses.filter { $0.features == use.features && $0.certify != use.certify }.map(\.certify))
        let same = uses.filter { $0.certify == use.certify }
        return Usage(
            uses: same.count, otherDraws: draws.count, place: same.firstIndex(of: use).map { $0 + 1 })
    }

    private func read() throws(InputError) -> [Use] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        let text = try String(
            readingFile: path, expected: "the log of uses of certify splits",
            advice: "Without it nobody knows whether a guarantee holds; restore it.")
        var uses: [Use] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        where !line.isEmpty {
            do {
                uses.append(try JSONDecoder().decode(Use.self, from: Data(line.utf8)))
            } catch {
                throw InputError(
                    .malformed, file: path, item: "line \(number + 1)", seen: "'\(line.prefix(40))'",
                    expected: "a use of a certify split, as beem writes it", advice: "Restore the line.")
            }
        }
        return uses
    }

    /// Adds a line; a line is short enough to be written at once.
    private func append(_ use: Use) throws(InputError) {
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            let line = try encoder.encode(use) + Data("\n".utf8)
            let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT, 0o644)
            guard descriptor >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
            let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            try file.write(contentsOf: line)
            try file.synchronize()
        } catch {
            throw InputError(
                .unwritable, file: path, seen: "cannot be written to (\(error.localizedDescription))",
                expected: "a log in which this use of the certify split is written down",
                advice: "Choose a folder that can be written to with --output, or free some space.")
        }
    }
}
