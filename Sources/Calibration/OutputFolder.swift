import Foundation
import Safetensors

/// The files a run leaves in its output folder.
public struct OutputFolder: Sendable {
    /// The folder.
    public let path: String

    /// Names a folder.
    public init(_ path: String) { self.path = path }

    /// The trained heads.
    public var heads: String { path + "/heads.safetensors" }
    /// How training went, pass by pass.
    public var curves: String { path + "/training.csv" }
    /// Where an interrupted training stood; gone once it is done.
    public var checkpoint: String { path + "/training.checkpoint" }
    /// The error rates of all exits.
    public var evaluation: String { path + "/evaluation.json" }
    /// What each shared threshold costs and errs on tune.
    public var frontier: String { path + "/frontier.csv" }
    /// What the report shows beside the policy and the evaluation.
    public var record: String { path + "/report.json" }
    /// The report.
    public var report: String { path + "/report.html" }
    /// The calibrated policy.
    public var policy: String { path + "/policy.json" }

    /// The heads of the exits that a policy offers, where those are not all.
    public var offeredHeads: String { path + "/heads-offered.safetensors" }

    /// A policy with another allowed gap, a fraction, than the recipe's.
    public func policy(allowedGap: Double) -> String { path + String(format: "/policy-gap-%g.json", allowedGap) }

    /// The policy of the rule at some place of a comparison, from 1.
    public func policy(rank: Int) -> String { path + "/policy-rule-\(rank).json" }

    /// The file of the heads that a policy refers to: that of all heads, or a new one where some exits are not offered.
    ///
    /// - Parameters:
    ///   - settled: what is offered.
    ///   - all: the heads of all exits; nil where the exits were trained elsewhere.
    /// - Throws: `InputError` when the new one cannot be written.
    public func headsFile(of settled: Experiment.Settled, all: String?) throws(InputError) -> String? {
        guard all != nil, settled.selection != nil, case .heads(let heads, _, _) = settled.exits else { return all }
        try heads.write(to: offeredHeads)
        return offeredHeads
    }

    /// The SHA-256 of some files in the folder, by name.
    ///
    /// - Throws: `InputError` when one cannot be read.
    public func hashes(of files: [String]) throws(InputError) -> [String: String] {
        var hashes: [String: String] = [:]
        for file in files { hashes[URL(fileURLWithPath: file).lastPathComponent] = try sha256(ofFile: file) }
        return hashes
    }

    /// Makes the folder, and sees that it can be written to before any work is done.
    ///
    /// - Throws: `InputError` that names the folder.
    public func prepare() throws(InputError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw InputError(
                .unwritable, file: path, seen: "cannot be made (\(error.localizedDescription))",
                expected: "a folder to write to", advice: "Choose another one with --output.")
        }
        guard access(path, W_OK) == 0 else {
            throw InputError(
                .unwritable, file: path, seen: "cannot be written to (\(String(cString: strerror(errno))))",
                expected: "a folder to write to", advice: "Choose another one with --output.")
        }
    }
}
