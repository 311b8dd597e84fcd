import Evaluation
import ExitPolicy
import ExitRules
import FeatureCache
import Foundation
import Safetensors

extension ExitEvaluation {
    /// The evaluation of an experiment's exits on all its splits.
    public init(_ experiment: Experiment, _ outputs: SplitOutputs) {
        self.init(
            names: experiment.samples.exitNames,
            outputs: Dictionary(uniqueKeysWithValues: outputs.bySplit.map { ("\($0.key)", $0.value) }))
    }

    /// Writes `evaluation.json`, all or nothing.
    ///
    /// - Throws: `InputError` when the place cannot be written to.
    public func write(to path: String) throws(InputError) {
        let data: Data
        do {
            data = try JSONFile.encode(self)
        } catch {
            preconditionFailure("an evaluation holds finite numbers only: \(error)")
        }
        try AtomicFile.write(data, to: path)
    }
}
