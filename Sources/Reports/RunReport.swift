import Calibration
import Evaluation
import ExitPolicy
import Foundation
import Safetensors

/// All that a report is made from: the files of an output folder that belong together.
public struct RunReport: Sendable {
    /// The folder.
    public let folder: OutputFolder
    /// The policy.
    public let policy: Policy
    /// The exits by themselves.
    public let evaluation: ExitEvaluation
    /// What the run found besides.
    public let record: RunRecord
    /// How the heads were trained, exit by exit; empty where they were not, or not here.
    let curves: [TrainingCurve]

    /// Reads the files of a folder and sees that they belong together.
    ///
    /// - Throws: ``InputError`` when one is missing, cannot be read, or is from another run.
    public init(reading folder: OutputFolder) throws(InputError) {
        self.folder = folder
        record = try RunRecord(reading: folder.record)
        for (name, hash) in record.files.sorted(by: { $0.key < $1.key }) {
            let path = "\(folder.path)/\(name)"
            guard try sha256(ofFile: path) == hash else {
                throw InputError(
                    .mismatch, file: path, seen: "a file of another run",
                    expected: "the one that \(folder.record) was written with",
                    advice: "Run `beem calibrate` or `beem run` again; the folder then has files that belong together.")
            }
        }
        policy = try Policy(reading: folder.policy)
        evaluation = try JSONFile.read(
            ExitEvaluation.self, from: folder.evaluation, expected: "error rates of exits",
            advice: "Run `beem calibrate` again.")
        let curvesName = URL(fileURLWithPath: folder.curves).lastPathComponent
        curves = record.files[curvesName] == nil ? [] : try TrainingCurve.read(folder.curves)
    }

    /// How many exits there are.
    var exitCount: Int { policy.exits.count }

    /// The exit that policies are compared with, in words.
    var referenceName: String {
        record.guarantee.reference == exitCount - 1
            ? "the final layer" : policy.exits[record.guarantee.reference].name
    }
}
