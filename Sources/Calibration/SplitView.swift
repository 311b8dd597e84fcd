import Evaluation
import ExitPolicy
import ExitRules
import RiskControl
import ThresholdOptimizer

/// One split as a guarantee sees it: scored, with the loss that counts, divided into the parts that it speaks of.
struct SplitView: Sendable {
    /// Samples that are tested together.
    struct Part: Sendable {
        /// What the part is called.
        var name: String
        var table: ScoreTable
        /// [samples]; nil when all samples are independent.
        var groups: [Int]?

        /// How a policy does.
        ///
        /// - Complexity: O(samples * exits).
        func outcome(of thresholds: Thresholds) -> PairedOutcome {
            guard let groups else { return .counts(evaluate(thresholds, on: table).counts) }
            let differences = table.exitsTaken(thresholds).enumerated().map { sample, exit in
                Double(table.flip(exit: exit, sample: sample))
            }
            return .grouped(differences: differences, groups: groups)
        }
    }

    /// All samples.
    var whole: Part
    /// The parts of the population, when the guarantee speaks of any.
    let parts: [Part]
    /// Whether every part must pass for a candidate to pass.
    let demandsAll: Bool
    /// What counts against a policy.
    let loss: PolicyLoss

    /// What must pass: the parts when all of them must, otherwise the whole.
    var demandedParts: [Part] { demandsAll ? parts : [whole] }

    /// Views a split.
    ///
    /// - Parameters:
    ///   - hasGroups: whether samples of a group are tested together; the same for all splits of a run.
    ///   - partNames: [classes or subgroups], for the guarantee's parts.
    init(
        _ outputs: ExitOutputs, rule: any ExitRule, costs: ExitCosts, reference: Int, guarantee: Recipe.Guarantee,
        hasGroups: Bool, partNames: [String]
    ) {
        loss = guarantee.loss
        let table = ScoreTable(
            outputs: outputs, rule: rule, costs: costs.cumulative, reference: reference, loss: guarantee.loss,
            fullCost: costs.full)
        let groups = hasGroups ? outputs.groups.map { $0.map(Int.init) } : nil
        whole = Part(name: "all samples", table: table, groups: groups)
        demandsAll = guarantee.parts?.demand == .all
        let codes: [Int32]? =
            switch guarantee.parts?.partition {
            case .classes: outputs.truth
            case .subgroups: outputs.subgroups
            case nil: nil
            }
        guard let codes else {
            parts = []
            return
        }
        parts = partNames.enumerated().map { code, name in
            let rows = codes.indices.filter { codes[$0] == Int32(code) }
            return Part(
                name: name, table: table.selecting(rows), groups: groups.map { groups in rows.map { groups[$0] } })
        }
    }
}
