import Evaluation
import ExitPolicy
import ExitRules
import FeatureCache
import Foundation
import Safetensors
import TestSupport
import Testing

@testable import Calibration

/// What exits say of all samples of an experiment, written down as exits trained elsewhere would.
private struct Recording {
    /// How it is written down.
    enum Form: String, CaseIterable {
        case safetensors
        case wide
        case long

        /// What a recipe says under `outputs`, splits stored; without confidences only labels are read.
        func data(confidences: Bool = true) -> String {
            let (wide, long) = confidences ? (", confidence: \"p{exit}\"", ", confidence: p") : ("", "")
            switch self {
            case .safetensors: return "outputs.safetensors"
            case .wide:
                return
                    "{ file: outputs.csv, columns: { target: truth, split: split, label: \"l{exit}\"\(wide) } }"
            case .long:
                return "{ file: outputs.tsv, columns: { sample: id, split: split\(long) } }"
            }
        }
    }

    var outputs: ExitOutputs
    var splits: [UInt8]
    var classes: [String]

    init(_ trained: TrainedExperiment) throws {
        let samples = trained.experiment.samples
        outputs = try trained.experiment.exits(trained.heads).outputs(
            rows: Array(0..<samples.sampleCount), measure: .maxProbability)
        splits = trained.experiment.splits.codes(sampleCount: samples.sampleCount)
        classes = samples.classes
    }

    private var exitNames: [String] { outputs.labels.indices.map { "layer \($0)" } }

    private func list(_ names: [String]) -> String { "[" + names.map { "\"\($0)\"" }.joined(separator: ",") + "]" }

    /// Writes the file that ``Form/data(confidences:)`` names.
    func write(_ form: Form, in folder: TemporaryFolder, confidences: Bool = true) throws {
        let confidences = confidences ? outputs.confidences : nil
        switch form {
        case .safetensors:
            let count = outputs.sampleCount
            var tensors = [TensorDescription(name: "labels", elementType: .int32, shape: [count])]
            for exit in outputs.labels.indices {
                tensors.append(TensorDescription(name: "label.\(exit)", elementType: .int32, shape: [count]))
            }
            for exit in (confidences ?? []).indices {
                tensors.append(TensorDescription(name: "confidence.\(exit)", elementType: .float32, shape: [count]))
            }
            tensors.append(TensorDescription(name: "split", elementType: .uint8, shape: [count]))
            var writer = try SafetensorsWriter(
                creating: folder.file("outputs.safetensors"), tensors: tensors,
                metadata: ["classes": list(classes), "exits": list(exitNames)])
            try writer.append(outputs.truth, to: "labels")
            for (exit, row) in outputs.labels.enumerated() { try writer.append(row, to: "label.\(exit)") }
            for (exit, row) in (confidences ?? []).enumerated() { try writer.append(row, to: "confidence.\(exit)") }
            try writer.append(splits, to: "split")
            try writer.finish()
        case .wide: try folder.write(wide(confidences), as: "outputs.csv")
        case .long: try folder.write(long(confidences), as: "outputs.tsv")
        }
    }

    private func name(_ label: Int32) -> String { classes[Int(label)] }

    private func wide(_ confidences: [[Float]]?) -> String {
        let exits = outputs.labels.indices
        var text = "truth,split," + exits.map { "l\($0)" }.joined(separator: ",")
        if confidences != nil { text += "," + exits.map { "p\($0)" }.joined(separator: ",") }
        text += "\n"
        for sample in outputs.truth.indices {
            var cells = [name(outputs.truth[sample]), "\(splits[sample])"]
            cells += exits.map { name(outputs.labels[$0][sample]) }
            if let confidences { cells += exits.map { "\(confidences[$0][sample])" } }
            text += cells.joined(separator: ",") + "\n"
        }
        return text
    }

    /// All rows of an exit together, exits counted from 1.
    private func long(_ confidences: [[Float]]?) -> String {
        var text = "exit\tid\ttarget\tsplit\tlabel" + (confidences == nil ? "\n" : "\tp\n")
        for exit in outputs.labels.indices.reversed() {
            for sample in outputs.truth.indices {
                var cells = ["\(exit + 1)", "s\(sample)", name(outputs.truth[sample])]
                cells.append(Split(rawValue: splits[sample])!.description)
                cells.append(name(outputs.labels[exit][sample]))
                if let confidences { cells.append("\(confidences[exit][sample])") }
                text += cells.joined(separator: "\t") + "\n"
            }
        }
        return text
    }

    /// The samples at some places.
    func selecting(_ rows: [Int]) -> Recording {
        var other = self
        other.outputs = outputs.selecting(rows)
        other.splits = rows.map { splits[$0] }
        return other
    }
}

@Suite("An experiment on recorded outputs")
struct RecordedExperimentTests {
    private let folder: TemporaryFolder
    private let trained: TrainedExperiment

    init() throws {
        folder = try TemporaryFolder()
        trained = try TrainedExperiment.standard.get()
    }

    private func recipe(_ data: String, extra: String = "") throws -> Recipe {
        try Recipe(
            reading: folder.write(
                "name: synthetic\noutputs: \(data)\nsplits: stored\nseed: 3\noutput: out\n\(extra)\n",
                as: "recipe.yaml"))
    }

    private func experiment(
        _ form: Recording.Form, confidences: Bool = true, extra: String = ""
    ) throws -> Experiment {
        try Recording(trained).write(form, in: folder, confidences: confidences)
        return try Experiment(recipe(form.data(confidences: confidences), extra: extra))
    }

    private func calibrate(_ experiment: Experiment) throws -> CalibrationResult {
        try Calibrator(experiment).calibrate(experiment.outputs(of: experiment.exits()))
    }

    private func expectEqual(_ result: CalibrationResult, _ other: CalibrationResult, _ what: Comment) {
        #expect(result.weights == other.weights, what)
        #expect(result.thresholds == other.thresholds && result.tunedThresholds == other.tunedThresholds, what)
        #expect(result.certificate == other.certificate && result.candidateCount == other.candidateCount, what)
        for split in Split.allCases { #expect(result.outcome(on: split) == other.outcome(on: split), what) }
    }

    // MARK: The same as with heads

    @Test(
        "comes to the same thresholds, certificate and test result as the heads whose outputs these are",
        arguments: Recording.Form.allCases,
        [
            "", "rule: { kind: max-probability }", "rule: { kind: patience }", "search: { thresholds: curve }",
            "rule: { kind: beem, memory: 0.3 }\nguarantee: { allowedGap: 0.01, reference: best }",
        ])
    fileprivate func same(form: Recording.Form, extra: String) throws {
        let experiment = try experiment(form, extra: extra)
        #expect(experiment.splits == trained.experiment.splits && experiment.costs == trained.experiment.costs)
        #expect(experiment.samples.classes == trained.experiment.samples.classes)
        let result = try calibrate(experiment)
        let expected = try trained.calibrate {
            $0.rule = experiment.recipe.rule
            $0.search = experiment.recipe.search
            $0.guarantee = experiment.recipe.guarantee
        }
        expectEqual(result, expected, "\(form.rawValue), \(extra)")
    }

    @Test("picks the rule that the heads' outputs get where largest probabilities are all there is to pick from")
    func automatic() throws {
        var experiment = try experiment(.wide, extra: "rule: { kind: auto }")
        let automatic = try #require(try experiment.pickRule(for: experiment.exits()))
        #expect(automatic.candidates.allSatisfy { $0.rule.confidence == .maxProbability })
        let other = try AutomaticRule(
            trained.calibrator(), tune: [.maxProbability: trained.outputs[.tune]],
            certifySamples: experiment.splits.certify.count, classCount: 3)
        #expect(automatic.candidates == other.candidates && experiment.recipe.rule == automatic.rule)
    }

    @Test("on logits is one on the labels and confidences that they stand for, whatever is measured")
    func logits() throws {
        let samples = trained.experiment.samples
        let cache = try trained.experiment.features()
        let (exits, count, classes) = (samples.exitCount, samples.sampleCount, samples.classes.count)
        // The heads' logits in plain Swift: the last bit may be another than that of the fast kernel.
        let logits = (0..<exits).map { exit in
            let width = cache.width(ofExit: exit)
            var rows = [Float](repeating: 0, count: count * width)
            (0..<Int32(count)).map { $0 }.withUnsafeBufferPointer { numbers in
                rows.withUnsafeMutableBufferPointer {
                    cache.copyRows(numbers, ofExit: exit, into: $0.baseAddress!)
                }
            }
            return (0..<count).flatMap {
                trained.heads.heads[exit].logits(Array(rows[($0 * width)..<(($0 + 1) * width)]))
            }
        }
        let recording = try Recording(trained)
        let tensors =
            [TensorDescription(name: "labels", elementType: .int32, shape: [count])]
            + (0..<exits).map {
                TensorDescription(name: "logits.\($0)", elementType: .float32, shape: [count, classes])
            } + [TensorDescription(name: "split", elementType: .uint8, shape: [count])]
        var writer = try SafetensorsWriter(
            creating: folder.file("outputs.safetensors"), tensors: tensors,
            metadata: ["classes": #"["class 0","class 1","class 2"]"#])
        try writer.append(recording.outputs.truth, to: "labels")
        for exit in 0..<exits { try writer.append(logits[exit], to: "logits.\(exit)") }
        try writer.append(recording.splits, to: "split")
        try writer.finish()

        for measure in [ConfidenceMeasure.maxProbability, .margin] {
            let extra = "rule: { kind: beem, confidence: \(measure.rawValue) }"
            let onLogits = try Experiment(recipe("outputs.safetensors", extra: extra))
            #expect(try onLogits.exits().measures == Set(ConfidenceMeasure.allCases))
            // The same through a table of what the logits stand for.
            var told = recording
            let predictions = logits.map { row in
                (0..<count).map { sample in
                    row[(sample * classes)..<((sample + 1) * classes)].withUnsafeBufferPointer {
                        Prediction(logits: $0, measure: measure)
                    }
                }
            }
            told.outputs.labels = predictions.map { $0.map(\.label) }
            told.outputs.confidences = predictions.map { $0.map(\.confidence) }
            try told.write(.wide, in: folder)
            let data = Recording.Form.wide.data().replacing(
                "confidence:", with: measure == .margin ? "margin:" : "confidence:")
            expectEqual(try calibrate(onLogits), try calibrate(Experiment(recipe(data, extra: extra))), "\(measure)")
        }

        // Against the fast kernel, thresholds differ by no more than logits may.
        let result = try calibrate(Experiment(recipe("outputs.safetensors")))
        let expected = try trained.calibrate()
        for (own, other) in zip(result.thresholds.values, expected.thresholds.values) {
            #expect(abs(try #require(own) - #require(other)) < 1e-5)
        }
        #expect(result.certificate != nil && expected.certificate != nil)
    }

    // MARK: Policies

    @Test("makes a policy without heads that decides as the one with heads", arguments: Recording.Form.allCases)
    fileprivate func policy(form: Recording.Form) throws {
        let experiment = try experiment(form)
        let policy = try Policy(calibrate(experiment), of: experiment, headsFile: nil)
        #expect(policy.heads == nil && policy.certificate != nil && policy.provenance.splits == nil)
        #expect(policy.provenance.features.sha256 == experiment.dataHash)
        try policy.write(to: folder.file("policy.json"))
        guard case .outputs(let choice) = experiment.recipe.data else { return }
        let applied = try AppliedPolicy(
            policyFile: folder.file("policy.json"), data: choice.file, columns: choice.columns)
        #expect(applied.policy == policy && applied.isCalibrationData)

        try SyntheticCache().write(to: folder.file("features.safetensors"))
        try trained.heads.write(to: folder.file("heads.safetensors"))
        try Policy(trained.calibrate(), of: trained.experiment, headsFile: folder.file("heads.safetensors"))
            .write(to: folder.file("with-heads.json"))
        let other = try AppliedPolicy(
            policyFile: folder.file("with-heads.json"), data: folder.file("features.safetensors"))
        for split in [Split.test, .certify, nil] {
            let rows = try applied.rows(of: split)
            #expect(try rows == other.rows(of: split))
            let decisions = applied.decisions(try applied.outputs(rows: rows))
            #expect(try decisions == other.decisions(other.outputs(rows: rows)) && decisions.count == rows.count)
        }
        #expect(throws: InputError.self) { try applied.requireUnseen(nil) }
        #expect(throws: InputError.self) { try applied.heads() }
        try applied.requireUnseen(.test)
    }

    @Test("makes a policy that matches a table without one of its classes, and no table with another")
    func classes() throws {
        let experiment = try experiment(.wide)
        try Policy(calibrate(experiment), of: experiment, headsFile: nil).write(to: folder.file("policy.json"))
        guard case .outputs(let choice) = experiment.recipe.data else { return }
        func apply() throws -> AppliedPolicy {
            try AppliedPolicy(policyFile: folder.file("policy.json"), data: choice.file, columns: choice.columns)
        }
        let all = try apply()
        let decisions = all.decisions(try all.outputs(rows: all.rows(of: nil)))

        let recording = try Recording(trained)
        // No exit and no truth says class 1: the names of the others would get other numbers by themselves.
        let rows = recording.outputs.truth.indices.filter { sample in
            recording.outputs.truth[sample] != 1 && recording.outputs.labels.allSatisfy { $0[sample] != 1 }
        }
        #expect(rows.count > 100)
        var few = recording.selecting(rows)
        try few.write(.wide, in: folder)
        let applied = try apply()
        #expect(applied.samples.classes == ["class 0", "class 1", "class 2"] && !applied.isCalibrationData)
        #expect(applied.samples.sampleCount == rows.count)
        #expect(
            try applied.decisions(applied.outputs(rows: applied.rows(of: nil))) == rows.map { decisions[$0] })

        few.classes[2] = "class X"
        try few.write(.wide, in: folder)
        let error = try #require(throws: InputError.self) { try apply() }
        #expect(error.kind == .outOfRange && error.seen == "'class X'" && error.expected.contains("class 0, class 1"))
    }

    @Test("makes a policy that takes no features, and policies with heads take no outputs; both say so")
    func exchanged() throws {
        let experiment = try experiment(.safetensors)
        try Policy(calibrate(experiment), of: experiment, headsFile: nil).write(to: folder.file("policy.json"))
        try SyntheticCache().write(to: folder.file("features.safetensors"))
        try trained.heads.write(to: folder.file("heads.safetensors"))
        try Policy(trained.calibrate(), of: trained.experiment, headsFile: folder.file("heads.safetensors"))
            .write(to: folder.file("with-heads.json"))
        let features = try #require(throws: InputError.self) {
            try AppliedPolicy(policyFile: folder.file("policy.json"), data: folder.file("features.safetensors"))
        }
        #expect(features.kind == .mismatch && features.file == folder.file("features.safetensors"))
        #expect(features.expected.contains("exit outputs") && features.expected.contains("policy.json has no heads"))
        try Recording(trained).write(.wide, in: folder)
        for name in ["outputs.safetensors", "outputs.csv"] {
            let outputs = try #require(throws: InputError.self) {
                try AppliedPolicy(policyFile: folder.file("with-heads.json"), data: folder.file(name))
            }
            #expect(outputs.kind == .mismatch && outputs.file == folder.file(name))
            #expect(outputs.expected == "a feature cache for the heads of \(folder.file("with-heads.json"))")
        }
        let heads = try #require(throws: InputError.self) {
            try AppliedPolicy(
                policyFile: folder.file("policy.json"), data: folder.file("outputs.safetensors"),
                headsFile: folder.file("heads.safetensors"))
        }
        #expect(heads.kind == .unsupported && heads.item == "heads" && heads.expected.contains("no heads"))
    }

    @Test("takes no heads beside its outputs, and has no features to train on")
    func headsRefused() throws {
        let experiment = try experiment(.safetensors)
        let heads = try #require(throws: InputError.self) { try experiment.exits(trained.heads) }
        #expect(heads.kind == .unsupported && heads.item == "outputs" && heads.file == folder.file("recipe.yaml"))
        #expect(heads.seen == "heads beside recorded outputs" && heads.advice == "Leave the heads out.")
        let training = try #require(throws: InputError.self) { try experiment.train() }
        #expect(training.kind == .unsupported && training.advice?.contains("beem calibrate") == true)
        let missing = try #require(throws: InputError.self) { try trained.experiment.exits() }
        #expect(missing.kind == .missing && missing.advice == "Train them with `beem train`.")
    }

    // MARK: Labels alone

    @Test("of labels alone certifies patience as the heads' outputs do", arguments: Recording.Form.allCases)
    fileprivate func patience(form: Recording.Form) throws {
        let experiment = try experiment(form, confidences: false, extra: "rule: { kind: patience }")
        #expect(try experiment.exits().measures.isEmpty)
        let expected = try trained.calibrate { $0.rule = experiment.recipe.rule }
        let result = try calibrate(experiment)
        expectEqual(result, expected, "\(form.rawValue)")
        try Policy(result, of: experiment, headsFile: nil).write(to: folder.file("policy.json"))
        guard case .outputs(let choice) = experiment.recipe.data else { return }
        let applied = try AppliedPolicy(
            policyFile: folder.file("policy.json"), data: choice.file, columns: choice.columns)
        let decisions = applied.decisions(try applied.outputs(rows: applied.rows(of: .test)))
        #expect(Set(decisions.map(\.exit)).count > 1)
        #expect(
            experiment.samples.exitNames.indices.map { exit in decisions.count { $0.exit == exit } }
                == result.outcome(on: .test).released)
    }

    @Test(
        "of labels alone refuses rules that need more, and names those that do not",
        arguments: ["", "rule: { kind: auto }", "rule: { kind: max-probability }"])
    func confidencesNeeded(extra: String) throws {
        let error = try #require(throws: InputError.self) { try experiment(.wide, confidences: false, extra: extra) }
        #expect(error.kind == .missing && error.file == folder.file("outputs.csv"))
        #expect(error.item == "max-probability" && error.seen == "labels without any confidence")
        let advice = try #require(error.advice)
        #expect(advice.contains("patience") && advice.contains("static"))
    }

    @Test("with one measure refuses rules of another", arguments: ["margin", "entropy"])
    func otherMeasure(measure: String) throws {
        let error = try #require(throws: InputError.self) { try experiment(.long, extra: "rule: { kind: \(measure) }") }
        #expect(error.kind == .missing && error.item == measure && error.seen == "max-probability alone")
    }

    @Test("of labels alone compares and studies the rules that need no more")
    func comparisons() throws {
        let experiment = try experiment(.long, confidences: false, extra: "rule: { kind: static }")
        let exits = try experiment.exits()
        let comparison = try RuleComparison(experiment, exits: exits)
        #expect(Set(comparison.subjects.map(\.rule.kind)) == [.patience, .static])
        #expect(comparison.rows.count == 4)
        // They are the rows that the heads' outputs get.
        let all = try RuleComparison(trained.experiment, exits: trained.experiment.exits(trained.heads))
        #expect(Set(all.rows.map(\.name)).isSuperset(of: comparison.rows.map(\.name)))
        for (row, subject) in zip(comparison.rows, comparison.subjects) {
            #expect(all.rows[try #require(all.subjects.firstIndex(of: subject))] == row)
        }
        let methods = StudyMethod.all(for: experiment, measures: exits.measures)
        #expect(!methods.isEmpty && methods.allSatisfy { [.patience, .static].contains($0.rule.kind) })
        #expect(!methods.contains { $0.isAutomatic })
        let study = try Study(experiment, from: exits, repeats: 2)
        #expect(study.methods == methods)
        #expect(try study.run().methods.count == methods.count)
        // With one measure there is one measure's share of the methods.
        let some = StudyMethod.all(for: experiment, measures: [.maxProbability])
        #expect(some.contains { $0.isAutomatic } && !some.contains { [.margin, .entropy].contains($0.rule.kind) })
        #expect(some.contains { $0.rule.kind == .beem } && some.count > methods.count)
    }

    @Test("of labels alone has an evaluation without confidences, and one of all exits otherwise the same")
    func evaluation() throws {
        let experiment = try experiment(.safetensors, confidences: false, extra: "rule: { kind: patience }")
        let evaluation = ExitEvaluation(experiment, try experiment.outputs(of: experiment.exits()))
        try evaluation.write(to: folder.file("evaluation.json"))
        let text = try String(contentsOfFile: folder.file("evaluation.json"), encoding: .utf8)
        #expect(!text.contains("meanConfidence") && !text.contains("\"ece\"") && text.contains("\"errorRate\""))
        var expected = ExitEvaluation(trained.experiment, trained.outputs)
        for exit in expected.exits.indices {
            for split in expected.exits[exit].splits.keys {
                expected.exits[exit].splits[split]?.meanConfidence = nil
                expected.exits[exit].splits[split]?.ece = nil
            }
        }
        #expect(evaluation == expected)
    }
}
