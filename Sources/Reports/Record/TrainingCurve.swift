import Foundation
import Safetensors

/// How an exit's head was trained, pass by pass, as `training.csv` has it: of the penalty that was kept.
struct TrainingCurve: Equatable, Sendable {
    /// The exit.
    var exit: Int
    /// The penalty.
    var l2: Double
    /// [passes]: the loss on train.
    var trainLoss: [Double]
    /// [passes]: the loss on tune; nil where it was not measured.
    var tuneLoss: [Double?]
    /// [passes]: the error on tune; nil where it was not measured.
    var tuneError: [Double?]

    /// Reads the curves of all exits.
    ///
    /// - Throws: ``InputError`` that names the line.
    static func read(_ path: String) throws(InputError) -> [TrainingCurve] {
        let text = try String(
            readingFile: path, expected: "learning curves", advice: "Train again, or run `beem calibrate` again.")
        var curves: [TrainingCurve] = []
        for (number, line) in text.split(separator: "\n").enumerated().dropFirst() {
            let fields = line.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 7, let exit = Int(fields[0]), let l2 = Double(fields[1]),
                let trainLoss = Double(fields[3]), fields[6] == "0" || fields[6] == "1"
            else {
                throw InputError(
                    .malformed, file: path, item: "line \(number + 1)", seen: "'\(line.prefix(60))'",
                    expected: "exit, l2, pass, losses, error and whether the penalty was kept",
                    advice: "Train again with this version.")
            }
            guard fields[6] == "1" else { continue }
            if curves.last?.exit != exit {
                curves.append(TrainingCurve(exit: exit, l2: l2, trainLoss: [], tuneLoss: [], tuneError: []))
            }
            curves[curves.count - 1].trainLoss.append(trainLoss)
            curves[curves.count - 1].tuneLoss.append(Double(fields[4]))
            curves[curves.count - 1].tuneError.append(Double(fields[5]))
        }
        return curves
    }
}
