import Backprop
import Foundation
import Safetensors

/// How training went, pass by pass, as rows of a file: `training.csv` in the output folder.
public struct LearningCurves: Sendable {
    private let heads: [TrainedHead]

    /// Collects the curves of all exits.
    public init(_ heads: [TrainedHead]) { self.heads = heads }

    /// The rows in CSV, with a header; what was not measured is empty, `kept` is 1 for the penalty that was kept. Numbers
    /// are written so that reading gives them back.
    public var csv: String {
        var text = "exit,l2,pass,train_loss,tune_loss,tune_error,kept\n"
        for (exit, head) in heads.enumerated() {
            for point in head.curve {
                let (loss, error) = (point.tuneLoss.map { "\($0)" } ?? "", point.tuneError.map { "\($0)" } ?? "")
                let isKept = point.l2 == head.choice.l2
                text += "\(exit),\(point.l2),\(point.pass),\(point.trainLoss),\(loss),\(error),\(isKept ? 1 : 0)\n"
            }
        }
        return text
    }

    /// Writes the rows in CSV, all or nothing.
    ///
    /// - Throws: `InputError` when the place cannot be written to.
    public func write(to path: String) throws(InputError) { try AtomicFile.write(Data(csv.utf8), to: path) }
}
