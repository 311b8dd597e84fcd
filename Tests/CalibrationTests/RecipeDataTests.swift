import ExitRules
import FeatureCache
import Safetensors
import TestSupport
import Testing

@testable import Calibration

@Suite("A recipe's data")
struct RecipeDataTests {
    /// A recipe with these lines for its data, and splits of every sample.
    private func parse(
        _ data: String, splits: String = "{ tune: 0.3, certify: 0.4, test: 0.3 }", extra: String = ""
    ) throws -> Recipe {
        try Recipe(
            parsing: "name: small\n\(data)\nsplits: \(splits)\noutput: out\n\(extra)\n", file: "/recipes/recipe.yaml")
    }

    private func choice(_ data: String) throws -> Recipe.OutputsChoice {
        guard case .outputs(let choice) = try parse(data).data else {
            throw InputError(.mismatch, file: "", seen: "features", expected: "outputs")
        }
        return choice
    }

    private func error(_ data: String, splits: String? = nil, extra: String = "") throws -> InputError {
        try #require(throws: InputError.self) {
            if let splits { try parse(data, splits: splits, extra: extra) } else { try parse(data, extra: extra) }
        }
    }

    // MARK: What may stand there

    @Test("may be a path alone, safetensors or a table, which then has the usual columns", arguments: ["", "  "])
    func pathAlone(space: String) throws {
        let safetensors = try choice("outputs: \(space)outputs.safetensors")
        #expect(safetensors == Recipe.OutputsChoice(file: "/recipes/outputs.safetensors"))
        #expect(!safetensors.isTable && safetensors.classes == nil)
        for name in ["outputs.csv", "outputs.tsv", "OUTPUTS.CSV", "/data/other.Tsv"] {
            let table = try choice("outputs: \(space)\(name)")
            #expect(table.isTable && table.columns == OutputColumns() && table.file.hasSuffix(name))
        }
        #expect(try parse("outputs: ../o.csv").data.path == "/o.csv")
        #expect(try parse("features: f.csv", splits: "stored").data == .features("/recipes/f.csv"))
    }

    @Test("may be a mapping with the file alone, which says the same as the path alone")
    func mappingAlone() throws {
        #expect(try choice("outputs: { file: outputs.csv }") == choice("outputs: outputs.csv"))
        #expect(try choice("outputs: { file: o.safetensors }") == choice("outputs: o.safetensors"))
    }

    @Test("may name the columns of a wide table")
    func wideColumns() throws {
        let choice = try choice(
            """
            outputs:
              file: outputs.csv
              columns:
                target: truth
                label: "label_{exit}"
                confidence: "conf_{exit}"
                margin: "margin_{exit}"
                entropy: "entropy_{exit}"
                split: part
                group: document
                subgroup: site
            """)
        #expect(
            choice.columns
                == OutputColumns(
                    target: "truth", label: "label_{exit}",
                    confidences: [
                        .maxProbability: "conf_{exit}", .margin: "margin_{exit}", .entropy: "entropy_{exit}",
                    ], split: "part", group: "document", subgroup: "site"))
        #expect(choice.columns.isWide)
    }

    @Test("may name the columns of a long table; what is not named keeps its usual name")
    func longColumns() throws {
        let renamed = try choice("outputs: { file: o.tsv, columns: { sample: id, exit: layer, confidence: p } }")
            .columns
        #expect(renamed == OutputColumns(sample: "id", exit: "layer", confidences: [.maxProbability: "p"]))
        #expect(renamed.target == "target" && renamed.label == "label" && !renamed.isWide)
        #expect(try choice("outputs: { file: o.csv, columns: { label: said } }").columns.confidences == nil)
    }

    @Test("may list the classes of a table, numbers as texts")
    func classes() throws {
        #expect(try choice("outputs: { file: o.csv, classes: [no, maybe, 3] }").classes == ["no", "maybe", "3"])
    }

    @Test("need no train split where there are no heads to train, and may have one")
    func splits() throws {
        let none = try parse("outputs: o.csv").splits
        #expect(none == .fractions(train: 0, tune: 0.3, certify: 0.4, test: 0.3))
        let zero = try parse("outputs: o.csv", splits: "{ train: 0, tune: 0.3, certify: 0.4, test: 0.3 }")
        #expect(zero.splits == none)
        let some = try parse("outputs: o.csv", splits: "{ train: 0.1, tune: 0.2, certify: 0.4, test: 0.3 }")
        #expect(some.splits == .fractions(train: 0.1, tune: 0.2, certify: 0.4, test: 0.3))
        let stored = try parse("outputs: o.csv", splits: "{ train: stored, tune: 0.3, certify: 0.4, test: 0.3 }")
        #expect(stored.splits == .storedTrain(tune: 0.3, certify: 0.4, test: 0.3))
        #expect(try parse("outputs: o.csv", splits: "stored").splits == .stored)
    }

    // MARK: What may not

    @Test("that are neither features nor outputs are asked for by both names")
    func neither() throws {
        let error = try error("seed: 1")
        #expect(error.kind == .missing && error.item == "features" && error.seen == "no such key")
        #expect(error.expected.contains("`features`") && error.expected.contains("`outputs`"))
    }

    @Test(
        "are features or outputs, not both, and outputs have no heads to train",
        arguments: [
            ("features: f.safetensors", "features"), ("heads: { kind: linear }", "heads"),
            ("training: { l2: 1 }", "training"),
        ])
    func beside(line: String, key: String) throws {
        let error = try error("outputs: o.csv", extra: line)
        #expect(error.kind == .outOfRange && error.file == "/recipes/recipe.yaml")
        #expect(error.item?.hasPrefix("\(key) (line 5") == true)
        #expect(error.seen == "\(key) beside `outputs`" && error.expected == "one of the two")
        #expect(error.advice == "With `outputs` there are no heads to train.")
    }

    @Test(
        "in safetensors take no settings of tables",
        arguments: [("columns: { label: said }", "columns"), ("classes: [a, b]", "classes")])
    func tableSettings(setting: String, key: String) throws {
        let error = try error("outputs: { file: o.safetensors, \(setting) }")
        #expect(error.kind == .unknownKey && error.item?.hasPrefix("outputs.\(key) (line 2") == true)
        #expect(error.expected == "no such key with safetensors, which name everything")
        #expect(error.advice == "Tables end in .csv or .tsv.")
    }

    @Test("in wide form have no columns for samples and exits", arguments: ["sample", "exit"])
    func longBesideWide(key: String) throws {
        let error = try error("outputs: { file: o.csv, columns: { label: \"l{exit}\", \(key): x } }")
        #expect(error.kind == .unknownKey && error.item?.hasPrefix("outputs.columns.\(key) (line 2") == true)
        #expect(error.seen == "a column of the long form")
        #expect(error.expected == "no such key where `label` is a pattern with {exit}")
    }

    @Test("have classes of different names")
    func repeatedClasses() throws {
        let error = try error("outputs: { file: o.csv, classes: [cat, dog, cat] }")
        #expect(error.kind == .outOfRange && error.item?.hasPrefix("outputs.classes (line 2") == true)
        #expect(error.seen == "a list" && error.expected == "different names")
    }

    @Test(
        "say what is wrong with a value, and where",
        arguments: [
            ("outputs: { columns: { label: said } }", InputError.Kind.missing, "outputs.file", "`outputs.file`"),
            ("outputs: [o.csv]", .malformed, "outputs", "file, columns, classes"),
            ("outputs: \"\"", .malformed, "outputs", "a text"),
            ("outputs: { file: o.csv, column: x }", .unknownKey, "outputs.column", "columns"),
            ("outputs: { file: o.csv, columns: { lable: x } }", .unknownKey, "outputs.columns.lable", "label"),
            ("outputs: { file: o.csv, columns: said }", .malformed, "outputs.columns", "a mapping"),
            ("outputs: { file: o.csv, columns: { label: [a] } }", .malformed, "outputs.columns.label", "a text"),
            ("outputs: { file: o.csv, classes: cat }", .malformed, "outputs.classes", "a list, each a name"),
            ("outputs: { file: o.csv, classes: [] }", .malformed, "outputs.classes", "a list, each a name"),
            ("outputs: { file: o.csv, classes: [[a]] }", .malformed, "outputs.classes[0]", "a text"),
        ])
    func wrongValue(data: String, kind: InputError.Kind, item: String, expected: String) throws {
        let error = try error(data)
        #expect(error.kind == kind && error.expected.contains(expected))
        #expect(error.item?.hasPrefix(item) == true, "\(error)")
    }

    @Test("with a misspelt key propose the right one")
    func misspelt() throws {
        let advice = try error("outputs: { file: o.csv, columns: { lable: x } }").advice
        #expect(advice == "Did you mean `label`?")
    }

    @Test("that are features need a train split")
    func trainForFeatures() throws {
        let missing = try error("features: f.safetensors")
        #expect(missing.kind == .missing && missing.item?.hasPrefix("splits.train (line ") == true)
        let zero = try error("features: f.safetensors", splits: "{ train: 0, tune: 0.3, certify: 0.4, test: 0.3 }")
        #expect(zero.kind == .outOfRange && zero.item?.hasPrefix("splits.train") == true)
        #expect(zero.expected == "`stored`, or a fraction between 0 and 1")
    }

    @Test("have splits whose fractions sum to one, without train too")
    func sums() throws {
        let error = try error("outputs: o.csv", splits: "{ tune: 0.3, certify: 0.4, test: 0.4 }")
        #expect(error.kind == .outOfRange && error.item?.hasPrefix("splits") == true)
        #expect(error.seen == "fractions that sum to 1.1" && error.advice == "The fractions are of all samples.")
    }

    // MARK: Opening them

    @Test("are opened with their columns and classes")
    func opening() throws {
        let folder = try TemporaryFolder()
        try folder.write("truth,a1,a2\n0,1,0\n1,1,1\n", as: "o.csv")
        let choice = Recipe.OutputsChoice(
            file: folder.file("o.csv"), columns: OutputColumns(target: "truth", label: "a{exit}", confidences: [:]),
            classes: ["no", "yes", "never"])
        let data = try ExperimentData(.outputs(choice))
        #expect(data.samples.classes == ["no", "yes", "never"] && data.samples.exitCount == 2)
        #expect(data.warnings == ["\(folder.file("o.csv")): exit 1 says 'yes' of every sample"])
        #expect(try data.sha256() == sha256(ofFile: folder.file("o.csv")))
    }

    @Test("that are not there are an error with the file's name", arguments: ["none.csv", "none.safetensors"])
    func notThere(name: String) throws {
        let error = try #require(throws: InputError.self) {
            try ExperimentData(.outputs(Recipe.OutputsChoice(file: "/nowhere/\(name)")))
        }
        #expect(error.kind == .unreadable && error.file == "/nowhere/\(name)")
    }
}
