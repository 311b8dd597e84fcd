import ExitRules
import Foundation
import Safetensors
import Statistics
import TestSupport
import Testing

@testable import FeatureCache

@Suite("Exit outputs from a table")
struct RecordedOutputsTableTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func outputs(
        _ text: String, _ columns: OutputColumns, classes: [String]? = nil, as name: String = "outputs.csv"
    ) throws -> RecordedOutputs {
        try RecordedOutputs(reading: folder.write(text, as: name), columns: columns, classes: classes)
    }

    private func all(_ outputs: RecordedOutputs, _ measure: ConfidenceMeasure? = .maxProbability) throws -> ExitOutputs
    {
        try outputs.outputs(rows: Array(0..<outputs.samples.sampleCount), measure: measure)
    }

    private static let wideColumns = OutputColumns(
        target: "truth", label: "label_{exit}", confidences: [.maxProbability: "conf_{exit}"])
    private static let wide = """
        truth,label_0,conf_0,label_1,conf_1
        cat,dog,0.5,cat,0.75
        dog,dog,0.625,dog,1
        ant,ant,0.375,dog,0.5

        """
    private static let longColumns = OutputColumns(
        sample: "id", exit: "layer", target: "truth", label: "said", confidences: [.maxProbability: "conf"])
    /// The same, in another order; the samples first appear as in the wide form.
    private static let long = """
        said,conf,id,layer,truth
        cat,0.75,a,1,cat
        dog,0.625,b,0,dog
        dog,0.5,c,1,ant
        dog,0.5,a,0,cat
        ant,0.375,c,0,ant
        dog,1,b,1,dog

        """

    // MARK: Wide form

    @Test("are read from columns for each exit")
    func wideForm() throws {
        let outputs = try outputs(Self.wide, Self.wideColumns)
        #expect(outputs.samples.path == folder.file("outputs.csv"))
        #expect(outputs.samples.classes == ["ant", "cat", "dog"] && outputs.samples.labels == [1, 2, 0])
        #expect(outputs.samples.exitNames == ["exit 0", "exit 1"] && !outputs.samples.trainsHeads)
        #expect(outputs.samples.storedSplit == nil && outputs.samples.groups == nil)
        #expect(outputs.samples.subgroups == nil && outputs.samples.subgroupNames.isEmpty)
        #expect(outputs.measures == [.maxProbability] && outputs.warnings.isEmpty)
        #expect(try outputs.sha256 == sha256(ofFile: folder.file("outputs.csv")))
        let expected = ExitOutputs(
            truth: [1, 2, 0], labels: [[2, 2, 0], [1, 2, 2]], confidences: [[0.5, 0.625, 0.375], [0.75, 1, 0.5]])
        #expect(try all(outputs) == expected)
        #expect(try outputs.outputs(rows: [2, 0, 2], measure: .maxProbability) == expected.selecting([2, 0, 2]))
    }

    @Test("are the same from tabs, and however exits are counted and columns are ordered", arguments: [0, 1, 7])
    func countedFrom(first: Int) throws {
        let renamed = Self.wide.replacingOccurrences(of: "_1", with: "_\(first + 1)")
            .replacingOccurrences(of: "_0", with: "_\(first)")
        let counted = try outputs(renamed, Self.wideColumns)
        #expect(counted.samples.exitNames == ["exit \(first)", "exit \(first + 1)"])
        let reversed = renamed.split(separator: "\n").map {
            $0.split(separator: ",").reversed().joined(separator: "\t")
        }.joined(separator: "\n")
        let tabbed = try outputs(reversed, Self.wideColumns, as: "outputs.tsv")
        let expected = try all(outputs(Self.wide, Self.wideColumns))
        #expect(try all(counted) == expected && all(tabbed) == expected)
    }

    @Test("may have columns that are called by the exit's number alone")
    func bareNumbers() throws {
        let text = "truth,1,2,p1,p2,0.5\na,b,a,0.5,0.75,x\nb,b,b,0.75,1,x\n"
        let columns = OutputColumns(target: "truth", label: "{exit}", confidences: [.maxProbability: "p{exit}"])
        let outputs = try outputs(text, columns)
        #expect(outputs.samples.exitNames == ["exit 1", "exit 2"])
        #expect(
            try all(outputs).labels == [[1, 1], [0, 1]] && all(outputs).confidences == [[0.5, 0.75], [0.75, 1]])
    }

    @Test("may have more than ten exits, ordered by number")
    func manyExits() throws {
        var generator = SplitMix64(seed: 5)
        let numbers = (0..<12).shuffled(using: &generator)
        let header = numbers.map { "label_\($0)" }.joined(separator: ",")
        let text = "truth,\(header)\n0,\(numbers.map(String.init).joined(separator: ","))\n"
        let outputs = try outputs(text, OutputColumns(target: "truth", label: "label_{exit}", confidences: [:]))
        #expect(try all(outputs, nil).labels == (0..<12).map { [Int32($0)] })
    }

    // MARK: Long form

    @Test("are the same in long form, rows in any order")
    func longForm() throws {
        let expected = try all(outputs(Self.wide, Self.wideColumns))
        let read = try outputs(Self.long, Self.longColumns)
        #expect(try all(read) == expected)
        #expect(read.samples.exitNames == ["exit 0", "exit 1"] && read.samples.classes == ["ant", "cat", "dog"])
        #expect(read.warnings.isEmpty && read.measures == [.maxProbability])
        var generator = SplitMix64(seed: 5)
        var lines = Self.long.split(separator: "\n")
        for _ in 0..<10 {
            lines[1...].shuffle(using: &generator)
            let shuffled = try outputs(lines.joined(separator: "\n"), Self.longColumns)
            var order: [String] = []
            for line in lines[1...] {
                let id = String(line.split(separator: ",")[2])
                if !order.contains(id) { order.append(id) }
            }
            let places = order.map { ["a", "b", "c"].firstIndex(of: $0)! }
            #expect(try all(shuffled) == expected.selecting(places))
        }
    }

    @Test("have the usual names in long form when none are given")
    func defaultColumns() throws {
        let text = "sample,exit,target,label,confidence\n1,1,0,1,0.5\n1,2,0,0.0,0.75\n"
        let outputs = try RecordedOutputs(reading: folder.write(text, as: "outputs.csv"))
        #expect(outputs.samples.exitNames == ["exit 1", "exit 2"] && outputs.samples.classes == ["0", "1"])
        #expect(try all(outputs) == ExitOutputs(truth: [0], labels: [[1], [0]], confidences: [[0.5], [0.75]]))
    }

    // MARK: Against Python

    /// What the script in Resources says is to be read.
    private struct Golden: Decodable {
        var classes: [String]
        var truth: [Int32]
        var labels: [[Int32]]
        var confidenceBits: [String: [[UInt32]]]
        var split: [UInt8]
        var documents: [String]
        var languages: [String]
        var order: [Int]

        init() throws {
            let url = Bundle.module.bundleURL.appendingPathComponent("Resources/exit_outputs.json")
            self = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url))
        }
    }

    @Test(
        "are what make_exit_outputs.py recorded, to the last bit, in wide and in long form", arguments: [true, false])
    func golden(isWide: Bool) throws {
        let golden = try Golden()
        let form = isWide ? "exit_outputs_wide.csv" : "exit_outputs_long.tsv"
        let path = Bundle.module.bundleURL.appendingPathComponent("Resources/\(form)").path
        let suffix = isWide ? " of exit {exit}" : ""
        let columns = OutputColumns(
            sample: "id", exit: "exit", target: "truth", label: "label" + suffix,
            confidences: [
                .maxProbability: "confidence" + suffix, .margin: "margin" + suffix, .entropy: "entropy" + suffix,
            ], split: "fold", group: "document", subgroup: "language")
        let outputs = try RecordedOutputs(reading: path, columns: columns)
        let order = isWide ? Array(golden.order.indices) : golden.order
        #expect(outputs.samples.classes == golden.classes && outputs.warnings.isEmpty)
        #expect(outputs.samples.exitNames == ["exit 1", "exit 2", "exit 3"])
        #expect(outputs.samples.labels == order.map { golden.truth[$0] })
        #expect(outputs.samples.storedSplit == order.map { golden.split[$0] })
        #expect(outputs.samples.subgroupNames == ["de", "en", "fr"])
        #expect(outputs.samples.subgroups?.map { ["de", "en", "fr"][Int($0)] } == order.map { golden.languages[$0] })
        // Groups are numbered as they come; that documents and numbers belong together is what counts.
        let groups = try #require(outputs.samples.groups)
        let documents = order.map { golden.documents[$0] }
        let pairs = Set(zip(documents, groups).map { "\($0) \($1)" })
        #expect(pairs.count == Set(documents).count && pairs.count == Set(groups).count && groups[0] == 0)
        #expect(outputs.measures == Set(ConfidenceMeasure.allCases))
        let names: [(String, ConfidenceMeasure)] = [
            ("confidence", .maxProbability), ("margin", .margin), ("entropy", .entropy),
        ]
        for (name, measure) in names {
            let read = try all(outputs, measure)
            #expect(read.truth == outputs.samples.labels && read.groups == groups)
            #expect(read.subgroups == outputs.samples.subgroups)
            #expect(read.labels == golden.labels.map { row in order.map { row[$0] } })
            let bits = read.confidences?.map { $0.map(\.bitPattern) }
            #expect(bits == golden.confidenceBits[name]?.map { row in order.map { row[$0] } }, "\(name)")
        }
    }

    // MARK: Classes

    @Test("take 3 and 3.0 for the same label")
    func wholeNumbers() throws {
        let text = "truth,label_0,conf_0\n3,3.0,1\n1.0,3,1\n10,1,1\n"
        let outputs = try outputs(text, Self.wideColumns)
        #expect(outputs.samples.classes == ["1", "3", "10"] && outputs.samples.labels == [1, 0, 2])
        #expect(try all(outputs).labels == [[1, 1, 0]])
    }

    @Test("number classes as they are listed, or take labels for places in the list")
    func listedClasses() throws {
        let texts = try outputs(Self.wide, Self.wideColumns, classes: ["dog", "cat", "bee", "ant"])
        #expect(texts.samples.classes == ["dog", "cat", "bee", "ant"] && texts.samples.labels == [1, 0, 3])
        #expect(try all(texts).labels == [[0, 0, 3], [1, 0, 0]])
        let text = "truth,label_0,conf_0\n2,0,1\n0,2.0,1\n"
        let places = try outputs(text, Self.wideColumns, classes: ["bad", "fair", "good"])
        #expect(places.samples.classes == ["bad", "fair", "good"] && places.samples.labels == [2, 0])
        #expect(try all(places).labels == [[0, 2]])
    }

    @Test("scale an entropy by the classes that are listed, not by those that occur")
    func entropyOfListedClasses() throws {
        let columns = OutputColumns(target: "truth", label: "label_{exit}", confidences: [.entropy: "h_{exit}"])
        let text = "truth,label_0,h_0\na,a,0\nb,b,0.5\na,b,1.0986123\n"
        let outputs = try outputs(text, columns, classes: ["a", "b", "c"])
        let confidences = try #require(try all(outputs, .entropy).confidences?[0])
        #expect(confidences[0] == 1 && confidences[1] == Float(1 - 0.5 / log(3.0)))
        // ln 3 in 8 digits, rounded to Float32.
        #expect(abs(confidences[2]) < 1e-7)
    }

    @Test("have confidence 1 by entropy where there is one class, as logits of one class have")
    func entropyOfOneClass() throws {
        let columns = OutputColumns(target: "truth", label: "label_{exit}", confidences: [.entropy: "h_{exit}"])
        let read = try all(outputs("truth,label_0,h_0\na,a,0\na,a,0\n", columns), .entropy)
        let one: [Float] = [3]
        let prediction = one.withUnsafeBufferPointer { Prediction(logits: $0, measure: .entropy) }
        #expect(read.confidences == [[prediction.confidence, prediction.confidence]])
    }

    // MARK: Splits, groups and subgroups

    @Test("have splits by name or code, groups, and subgroups by the alphabet", arguments: [true, false])
    func otherColumns(isWide: Bool) throws {
        let rows = [
            ("train", "doc 2", "fr"), ("1", "doc 1", "de"), ("certify", "doc 2", "de"), ("3", "-1", "en"),
            ("", "doc 1", "fr"), ("255", "doc 7", "en"),
        ]
        let columns = OutputColumns(
            label: isWide ? "label{exit}" : "label", confidences: [:], split: "fold", group: "document",
            subgroup: "language")
        let text =
            isWide
            ? "target,label0,fold,document,language\n"
                + rows.map { "a,b,\($0.0),\($0.1),\($0.2)\n" }.joined()
            : "sample,exit,target,label,fold,document,language\n"
                + rows.enumerated().map { "\($0),0,a,b,\($1.0),\($1.1),\($1.2)\n" }.joined()
        let samples = try outputs(text, columns).samples
        #expect(samples.storedSplit == [0, 1, 2, 3, 255, 255])
        #expect(samples.groups == [0, 1, 0, 2, 1, 3])
        #expect(samples.subgroupNames == ["de", "en", "fr"] && samples.subgroups == [2, 0, 0, 1, 2, 1])
    }

    // MARK: Labels alone

    @Test("may be labels alone, for rules that need no more")
    func labelsAlone() throws {
        let outputs = try outputs(
            Self.wide, OutputColumns(target: "truth", label: "label_{exit}", confidences: [:]))
        #expect(outputs.measures.isEmpty && outputs.warnings.isEmpty)
        let read = try all(outputs, nil)
        #expect(read.confidences == nil && read.labels == [[2, 2, 0], [1, 2, 2]] && read.truth == [1, 2, 0])
        for measure in ConfidenceMeasure.allCases {
            let error = try #require(throws: InputError.self) { try outputs.require(measure) }
            #expect(error.kind == .missing && error.file == outputs.samples.path && error.item == measure.rawValue)
            #expect(error.seen == "labels without any confidence")
            #expect(error.advice?.contains("patience") == true && error.advice?.contains("outputs.columns") == true)
            #expect(throws: error) { try all(outputs, measure) }
        }
    }

    @Test("refuse a measure that is not recorded, and give labels without any")
    func otherMeasure() throws {
        let text = "truth,label_0,m_0,h_0\na,a,0.5,0.1\nb,b,1,0\n"
        let outputs = try outputs(
            text,
            OutputColumns(
                target: "truth", label: "label_{exit}", confidences: [.margin: "m_{exit}", .entropy: "h_{exit}"]))
        #expect(outputs.measures == [.margin, .entropy])
        #expect(throws: Never.self) { try outputs.require(.margin) }
        let error = try #require(throws: InputError.self) { try outputs.require(.maxProbability) }
        #expect(error.kind == .missing && error.item == "max-probability" && error.seen == "margin, entropy alone")
        #expect(error.advice?.contains("record logits") == true)
        #expect(try all(outputs, nil).confidences == nil)
        #expect(try all(outputs, .margin).confidences == [[0.5, 1]])
    }

    @Test("refuse temperatures other than 1, which recorded confidences cannot take")
    func temperatures() throws {
        let outputs = try outputs(Self.wide, Self.wideColumns)
        let error = try #require(throws: InputError.self) {
            try outputs.outputs(rows: [0, 1], measure: .maxProbability, temperatures: [1, 1.5])
        }
        #expect(error.kind == .unsupported && error.file == outputs.samples.path)
        #expect(error.seen.contains("1.5") && error.expected == "logits")
        let read = try outputs.outputs(rows: [0, 1, 2], measure: .maxProbability, temperatures: [1, 1])
        #expect(try read == all(outputs))
        let labels = try outputs.outputs(rows: [0, 1, 2], measure: nil, temperatures: [1, 1.5])
        #expect(labels.confidences == nil)
    }

    // MARK: What is unusual

    @Test("warn of what no softmax gives, and use it as it is")
    func rangeWarnings() throws {
        let text = """
            truth,label_0,conf_0,m_0,h_0,label_1,conf_1,m_1,h_1
            a,b,0.25,0.1,0.1,a,0.9,0.5,-0.5
            b,b,0.125,0.2,0.2,b,2.5,-1,0.1
            c,c,0.4,0.2,1.0986,a,17,3,4

            """
        let columns = OutputColumns(
            target: "truth", label: "label_{exit}",
            confidences: [.maxProbability: "conf_{exit}", .margin: "m_{exit}", .entropy: "h_{exit}"])
        let outputs = try outputs(text, columns)
        let place = folder.file("outputs.csv")
        func expectOne(_ texts: String...) {
            let found = outputs.warnings.filter { warning in texts.allSatisfy(warning.contains) }
            #expect(
                found.count == 1 && found.allSatisfy { $0.hasPrefix(place + ": ") }, "\(texts): \(outputs.warnings)")
        }
        expectOne("exit 0: 2 of 3", "below 1/3 (the smallest is 0.125)", "sigmoids", "used as they are")
        expectOne("exit 1: 2 of 3", "above 1 (the largest is 17.0)", "used as they are")
        expectOne("exit 1: 1 of 3", "below 0 (the smallest is -1.0)")
        expectOne("exit 1: 1 of 3", "above 1 (the largest is 3.0)")
        // Entropies of -0.5 and of 4, which is above ln 3.
        expectOne("exit 1: 1 of 3", "above 1 (the largest is 1.45")
        expectOne("exit 1: 1 of 3", "below 0 (the smallest is -2.64")
        #expect(outputs.warnings.count == 6)
        #expect(try all(outputs).confidences == [[0.25, 0.125, 0.4], [0.9, 2.5, 17]])
        #expect(try all(outputs, .margin).confidences?[1] == [0.5, -1, 3])
    }

    @Test("warn of an exit that always says the same")
    func oneLabelWarning() throws {
        let text = "truth,label_0,conf_0,label_1,conf_1\na,b,1,a,1\nb,b,1,b,1\na,b,1,b,1\n"
        let outputs = try outputs(text, Self.wideColumns)
        #expect(outputs.warnings == ["\(folder.file("outputs.csv")): exit 0 says 'b' of every sample"])
        #expect(try all(outputs).labels == [[1, 1, 1], [0, 1, 1]])
    }

    @Test("do not warn of what rounding does, of one sample, or of one class")
    func noWarnings() throws {
        let rounded = "truth,label_0,conf_0\na,b,0.3333333\nb,a,1.000001\nc,c,0.33333\n"
        #expect(try outputs(rounded, Self.wideColumns).warnings.isEmpty)
        #expect(try outputs("truth,label_0,conf_0\na,b,0.5\n", Self.wideColumns).warnings.isEmpty)
        #expect(try outputs("truth,label_0,conf_0\na,a,1\na,a,1\n", Self.wideColumns).warnings.isEmpty)
    }
}

@Suite("Exit outputs from a table that is wrong")
struct BadRecordedOutputsTableTests {
    /// A table that must be refused.
    struct BadTable: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var text: String
        var columns: OutputColumns
        var kind: InputError.Kind
        var item: String
        var mentions: [String]

        init(
            _ testDescription: String, _ columns: OutputColumns, _ text: String, kind: InputError.Kind, item: String,
            mentions: String...
        ) {
            self.testDescription = testDescription
            self.text = text
            self.columns = columns
            self.kind = kind
            self.item = item
            self.mentions = mentions
        }
    }

    private static let wide = OutputColumns(
        target: "truth", label: "label_{exit}", confidences: [.maxProbability: "conf_{exit}"], split: "fold")
    private static let wideHeader = "truth,fold,label_0,conf_0,label_1,conf_1\n"
    private static let long = OutputColumns(split: "fold", group: "document", subgroup: "language")
    private static let longHeader = "sample,exit,target,label,confidence,fold,document,language\n"

    static let badTables: [BadTable] = [
        BadTable(
            "no column of the pattern", wide, "truth,lbl_0,conf_0\n1,1,1\n", kind: .missing,
            item: "column 'label_{exit}'", mentions: "label_0, label_1, ...", "counted from 1", "truth, lbl_0, conf_0"),
        BadTable(
            "an exit left out", wide, "truth,label_0,label_1,label_3,conf_0\n1,1,1,1,1\n", kind: .missing,
            item: "column 'label_2'", mentions: "no such column", "each exit from 0 to 3"),
        BadTable(
            "an exit of an absurd number", wide, "truth,label_0,label_9223372036854775807\n1,1,1\n", kind: .missing,
            item: "column 'conf_0'"),
        BadTable(
            "an exit far away", wide, "truth,label_0,label_2147483647\n1,1,1\n", kind: .missing,
            item: "column 'label_1'"),
        BadTable(
            "two columns for one exit", wide, "truth,label_0,label_0,conf_0,fold\n1,1,1,1,test\n", kind: .malformed,
            item: "column 'label_0'", mentions: "2 columns of that name"),
        BadTable(
            "two columns for one exit of several", wide, "truth,label_0,label_1,label_1,conf_0,conf_1\n1,1,1,1,1,1\n",
            kind: .malformed, item: "column 'label_1'", mentions: "2 columns of that name"),
        BadTable(
            "no truth", wide, "Truth,label_0,conf_0\n1,1,1\n", kind: .missing, item: "column 'truth'",
            mentions: "Did you mean `Truth`?"),
        BadTable(
            "no confidence of one exit", wide, "truth,label_0,conf_0,label_1\n1,1,1,1\n", kind: .missing,
            item: "column 'conf_1'", mentions: "Did you mean `conf_0`?"),
        BadTable(
            "a confidence of an exit without label", wide, "truth,label_0,conf_0,conf_1\n1,1,1,1\n", kind: .mismatch,
            item: "column 'conf_1'", mentions: "label_1"),
        BadTable(
            "one confidence for all exits",
            OutputColumns(target: "truth", label: "label_{exit}", confidences: [.margin: "margin"]),
            "truth,label_0,margin\n1,1,1\n", kind: .mismatch, item: "column 'margin'",
            mentions: "one column for all exits", "a pattern with {exit}"),
        BadTable(
            "no label of an exit", wide, wideHeader + "a,test,a,1,b,1\na,test,,1,b,1\n", kind: .missing,
            item: "row 2, column 'label_0'", mentions: "nothing", "a label"),
        BadTable(
            "no truth of a sample", wide, wideHeader + "a,test,a,1,b,1\n,test,a,1,b,1\n", kind: .missing,
            item: "row 2, column 'truth'", mentions: "a label"),
        BadTable(
            "a confidence that is NaN", wide, wideHeader + "a,test,a,1,b,nan\n", kind: .notFinite,
            item: "row 1, column 'conf_1'", mentions: "'nan'"),
        BadTable(
            "an infinite confidence", wide, wideHeader + "a,test,a,1,b,1\na,test,a,inf,b,1\n", kind: .notFinite,
            item: "row 2, column 'conf_0'", mentions: "'inf'"),
        BadTable(
            "an empty confidence", wide, wideHeader + "a,test,a,1,b,1\na,test,a,,b,1\n", kind: .malformed,
            item: "row 2, column 'conf_0'", mentions: "nothing", "a finite number"),
        BadTable(
            "a confidence that is text", wide, wideHeader + "a,test,a,high,b,1\n", kind: .malformed,
            item: "row 1, column 'conf_0'", mentions: "'high'"),
        BadTable(
            "a confidence beyond Float32", wide, wideHeader + "a,test,a,1,b,1\na,test,a,-1e39,b,1\n", kind: .outOfRange,
            item: "row 2, column 'conf_0'", mentions: "1e+39", "32 bits"),
        BadTable(
            "an unknown split", wide, wideHeader + "a,test,a,1,b,1\na,validation,a,1,b,1\n", kind: .outOfRange,
            item: "row 2, column 'fold'", mentions: "'validation'", "train, tune, certify", "test"),
        BadTable(
            "no column of splits", wide, "truth,flod,label_0,conf_0\na,test,a,1\n", kind: .missing,
            item: "column 'fold'", mentions: "Did you mean `flod`?"),
        BadTable(
            "a row too short", wide, wideHeader + "a,test,a,1,b,1\na,test,a,1,b\n", kind: .malformed, item: "row 2",
            mentions: "5 texts"),
        BadTable(
            "long: a sample that lacks an exit", long,
            longHeader + "s1,1,a,a,1,,,\ns1,2,a,a,1,,,\ns2,1,a,a,1,,,\n", kind: .missing, item: "sample 's2'",
            mentions: "no row for exit 2", "each exit from 1 to 2", "that left early"),
        BadTable(
            "long: an exit twice", long, longHeader + "s1,0,a,a,1,,,\ns1,1,a,a,1,,,\ns1,0,a,b,1,,,\n",
            kind: .malformed, item: "sample 's1'", mentions: "exit 0 in row 1 and in row 3", "'sample'"),
        BadTable(
            "long: an exit twice and another lacking", long,
            longHeader + "s1,0,a,a,1,,,\ns1,0,a,a,1,,,\ns2,1,a,b,1,,,\n",
            kind: .missing, item: "sample 's2'", mentions: "no row for exit 0"),
        BadTable(
            "long: two truths of a sample", long,
            longHeader + "s1,0,a,a,1,,,\ns2,0,a,a,1,,,\ns2,1,b,a,1,,,\ns1,1,a,a,1,,,\n",
            kind: .mismatch, item: "sample 's2', column 'target'", mentions: "'a' and 'b'", "the same in all rows"),
        BadTable(
            "long: two splits of a sample", long, longHeader + "s1,0,a,a,1,tune,,\ns1,1,a,a,1,test,,\n",
            kind: .mismatch, item: "sample 's1', column 'fold'", mentions: "'tune' and 'test'"),
        BadTable(
            "long: two groups of a sample", long, longHeader + "s1,0,a,a,1,,d,\ns1,1,a,a,1,,e,\n", kind: .mismatch,
            item: "sample 's1', column 'document'"),
        BadTable(
            "long: two subgroups of a sample", long, longHeader + "s1,0,a,a,1,,,d\ns1,1,a,a,1,,,e\n", kind: .mismatch,
            item: "sample 's1', column 'language'"),
        BadTable(
            "long: exits with a hole", long, longHeader + "s1,0,a,a,1,,,\ns1,2,a,a,1,,,\n", kind: .malformed,
            item: "column 'exit'", mentions: "the exits 0, 2", "none left out"),
        BadTable(
            "long: a negative exit", long, longHeader + "s1,-1,a,a,1,,,\ns1,0,a,a,1,,,\n", kind: .malformed,
            item: "column 'exit'", mentions: "the exits -1, 0"),
        BadTable(
            "long: an exit that is no number", long, longHeader + "s1,last,a,a,1,,,\n", kind: .malformed,
            item: "row 1, column 'exit'", mentions: "'last'"),
        BadTable(
            "long: an exit between two", long, longHeader + "s1,0.5,a,a,1,,,\n", kind: .malformed,
            item: "row 1, column 'exit'", mentions: "a whole number"),
        BadTable(
            "long: no sample column", long, "id,exit,target,label,confidence\ns1,0,a,a,1\n", kind: .missing,
            item: "column 'sample'"),
        BadTable(
            "long: an empty truth", long, longHeader + "s1,0,,a,1,,,\n", kind: .missing, item: "row 1, column 'target'"),
        BadTable(
            "long: an empty label", long, longHeader + "s1,0,a,,1,,,\n", kind: .missing, item: "row 1, column 'label'"),
        BadTable(
            "long: a confidence that is NaN", long, longHeader + "s1,0,a,a,NaN,,,\n", kind: .notFinite,
            item: "row 1, column 'confidence'"),
        BadTable(
            "long: a confidence beyond Float32", long, longHeader + "s1,0,a,a,1e40,,,\n", kind: .outOfRange,
            item: "row 1, column 'confidence'"),
        BadTable(
            "long: an unknown split", long, longHeader + "s1,0,a,a,1,test,,\ns2,0,a,a,1,4,,\n", kind: .outOfRange,
            item: "row 2, column 'fold'", mentions: "'4'"),
        BadTable(
            "long: a pattern for the confidence alone",
            OutputColumns(confidences: [.maxProbability: "conf_{exit}"]),
            "sample,exit,target,label,conf_0\ns,0,a,a,1\n",
            kind: .missing, item: "column 'conf_{exit}'"),
    ]

    @Test("are refused with", arguments: badTables)
    func refuses(_ bad: BadTable) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(bad.text, as: "outputs.csv")
        let error = try #require(throws: InputError.self) { try RecordedOutputs(reading: path, columns: bad.columns) }
        #expect(error.kind == bad.kind && error.file == path && error.item == bad.item, "\(error)")
        for text in bad.mentions { #expect(error.description.contains(text), "\(error)") }
    }

    @Test("are refused with a label that is not listed")
    func stranger() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("truth,label_0\nbad,good\ngood,godo\n", as: "outputs.csv")
        let columns = OutputColumns(target: "truth", label: "label_{exit}", confidences: [:])
        let error = try #require(throws: InputError.self) {
            try RecordedOutputs(reading: path, columns: columns, classes: ["bad", "good"])
        }
        #expect(error.kind == .outOfRange && error.file == path && error.item == "labels" && error.seen == "'godo'")
        #expect(error.expected == "one of the 2 classes bad, good" && error.advice == "Did you mean `good`?")
    }

    @Test("are refused when the column of exits numbers the rows, before each sample has a place at each exit")
    func rowNumbersForExits() throws {
        let folder = try TemporaryFolder()
        let rows = (0..<3000).map { "s\($0),\($0),a,a\n" }.joined()
        let path = try folder.write("sample,exit,target,label\n" + rows, as: "outputs.csv")
        let error = try #require(throws: InputError.self) {
            try RecordedOutputs(reading: path, columns: OutputColumns(confidences: [:]))
        }
        #expect(error.kind == .missing && error.item == "sample 's0'" && error.seen == "no row for exit 1")
    }
}

@Suite("Splits of exit outputs")
struct RecordedOutputsSplitTests {
    /// Samples of class b are in no more than two splits.
    private static func text(splits: [String]) -> String {
        "target,label0,fold\n" + splits.enumerated().map { "\($0 < 2 ? "b" : "a"),b,\($1)\n" }.joined()
    }

    private func samples(splits: [String]) throws -> LabelledSamples {
        let folder = try TemporaryFolder()
        let path = try folder.write(Self.text(splits: splits), as: "outputs.csv")
        let columns = OutputColumns(label: "label{exit}", confidences: [:], split: "fold")
        return try RecordedOutputs(reading: path, columns: columns).samples
    }

    private static let stored = ["tune", "certify", "tune", "certify", "certify", "test", "test", "tune"]

    @Test("are drawn without a train split, each within half a sample of its fraction")
    func noTrain() throws {
        let samples = try samples(splits: Array(repeating: "", count: 41))
        let plan = SplitPlan.fractions(train: 0, tune: 0.25, certify: 0.5, test: 0.25)
        let splits = try plan.draw(from: samples.splitSubject, seed: 3)
        #expect(splits.train.isEmpty)
        #expect((splits.tune + splits.certify + splits.test).sorted() == Array(0..<41))
        // Of 39 and of 2 samples.
        #expect(abs(splits.tune.count - 10) <= 1 && abs(splits.certify.count - 21) <= 1)
        #expect(try plan.draw(from: samples.splitSubject, seed: 3) == splits)
    }

    @Test("are those of a draw with heads, where train has the same fraction")
    func sameDraw() throws {
        var subject = try samples(splits: Array(repeating: "", count: 60)).splitSubject
        subject.labels = subject.labels.indices.map { Int32($0 % 2) }
        let plan = SplitPlan.fractions(train: 0.4, tune: 0.2, certify: 0.2, test: 0.2)
        let withoutHeads = try plan.draw(from: subject, seed: 9)
        subject.trainsHeads = true
        #expect(try plan.draw(from: subject, seed: 9) == withoutHeads)
    }

    @Test("may be stored without a train split, and may lack a class")
    func storedSplits() throws {
        let splits = try SplitPlan.stored.draw(from: samples(splits: Self.stored).splitSubject, seed: 1)
        #expect(splits == Splits(train: [], tune: [0, 2, 7], certify: [1, 3, 4], test: [5, 6]))
        let plan = SplitPlan.storedTrain(tune: 0.3, certify: 0.4, test: 0.3)
        let drawn = try plan.draw(from: samples(splits: Self.stored).splitSubject, seed: 1)
        #expect(drawn.train.isEmpty && (drawn.tune + drawn.certify + drawn.test).sorted() == Array(0..<8))
    }

    @Test(
        "still need samples in every other split",
        arguments: [("tune", "test"), ("certify", "tune"), ("test", "certify")])
    func emptySplit(split: String, instead: String) throws {
        let splits = Self.stored.map { $0 == split ? instead : $0 }
        let error = try #require(throws: InputError.self) {
            try SplitPlan.stored.draw(from: samples(splits: splits).splitSubject, seed: 1)
        }
        #expect(error.kind == .missing && error.item == "\(split) split" && error.seen == "no samples")
        #expect(error.expected == "samples")
    }

    @Test(
        "still need fractions between 0 and 1 of the others",
        arguments: [
            SplitPlan.fractions(train: 0, tune: 0, certify: 0.5, test: 0.5),
            .fractions(train: 0, tune: 0.5, certify: 0, test: 0.5),
            .fractions(train: 0, tune: 0.5, certify: 0.5, test: 0),
            .fractions(train: -0.25, tune: 0.5, certify: 0.5, test: 0.25),
            .fractions(train: 0, tune: 0.2, certify: 0.2, test: 0.2),
        ])
    func badFractions(plan: SplitPlan) throws {
        let subject = try samples(splits: Self.stored).splitSubject
        let error = try #require(throws: InputError.self) { try plan.draw(from: subject, seed: 1) }
        #expect(error.kind == .outOfRange && error.item?.hasPrefix("splits") == true)
    }

    @Test("need train and every class when heads are to be trained")
    func withHeads() throws {
        var subject = try samples(splits: Self.stored).splitSubject
        subject.trainsHeads = true
        let empty = try #require(throws: InputError.self) { try SplitPlan.stored.draw(from: subject, seed: 1) }
        #expect(empty.kind == .missing && empty.item == "train split" && empty.seen == "no samples")
        subject.stored = [0, 1, 0, 1, 2, 3, 2, 3]
        let lacking = try #require(throws: InputError.self) { try SplitPlan.stored.draw(from: subject, seed: 1) }
        #expect(lacking.item == "certify split" && lacking.seen.contains("no sample of class 'b'"))
        let fractions = try #require(throws: InputError.self) {
            try SplitPlan.fractions(train: 0, tune: 0.25, certify: 0.5, test: 0.25).draw(from: subject, seed: 1)
        }
        #expect(fractions.kind == .outOfRange && fractions.item == "splits: train")
    }

    @Test("of a feature cache need train and every class")
    func cache() throws {
        let folder = try TemporaryFolder()
        let noTrain = try FeatureCache(
            opening: TestCache.good.with(["split": .bytes([1, 1, 1, 1, 2, 2, 3, 3], shape: [8])]).write(to: folder))
        let empty = try #require(throws: InputError.self) { try SplitPlan.stored.draw(from: noTrain, seed: 1) }
        #expect(empty.kind == .missing && empty.item == "train split")
        let noClass = try FeatureCache(
            opening: TestCache.good.with(["split": .bytes([0, 0, 1, 1, 2, 255, 3, 3], shape: [8])]).write(to: folder))
        let lacking = try #require(throws: InputError.self) { try SplitPlan.stored.draw(from: noClass, seed: 1) }
        #expect(lacking.kind == .missing && lacking.item == "certify split" && lacking.seen.contains("'good'"))
        let fractions = try #require(throws: InputError.self) {
            try SplitPlan.fractions(train: 0, tune: 0.25, certify: 0.5, test: 0.25).draw(from: noClass, seed: 1)
        }
        #expect(fractions.kind == .outOfRange && fractions.item == "splits: train")
    }
}
