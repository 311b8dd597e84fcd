import Foundation
import Safetensors
import TestSupport
import Testing

@testable import FeatureCache

@Suite("A table of losses")
struct LossTableTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func table(_ text: String, range: ClosedRange<Double> = 0...1) throws -> LossTable {
        try LossTable(reading: folder.write(text, as: "losses.csv"), range: range)
    }

    private static let header = "candidate,sample,split,loss,reference_loss,cost\n"

    @Test("has candidates and samples in the order of the file, whatever the order of its rows")
    func order() throws {
        let read = try table(
            """
            cost,candidate,sample,split,loss,reference_loss,group,reference_cost
            3,fast,a,certify,0.5,0.25,x,9
            5,safe,b,2,0.75,0.5,y,8
            6,safe,a,certify,0.125,0.25,x,9
            2,fast,b,certify,1,0.5,y,8
            1,fast,c,tune,0,0,x,7
            4,safe,c,1,0.5,0,x,7
            4,safe,d,,0.5,0,x,7

            """)
        #expect(read.candidates == ["fast", "safe"] && Set(read.parts.keys) == [.tune, .certify])
        let certify = try #require(read.parts[.certify])
        #expect(certify.samples == ["a", "b"] && certify.referenceLosses == [0.25, 0.5])
        #expect(certify.losses == [[0.5, 1], [0.125, 0.75]] && certify.costs == [[3, 2], [6, 5]])
        #expect(certify.differences == [[0.25, 0.5], [-0.125, 0.25]])
        #expect(certify.groups == [0, 1] && certify.referenceCosts == [9, 8] && certify.largestGroup == 1)
        let tune = try #require(read.parts[.tune])
        #expect(tune.samples == ["c"] && tune.losses == [[0], [0.5]] && tune.groups == [0])
    }

    @Test("needs neither groups nor reference costs, and takes losses in the range that was declared")
    func optional() throws {
        let read = try table(Self.header + "a,1,test,-3,2.5,1\n", range: -3...3)
        let test = try #require(read.parts[.test])
        #expect(test.groups == nil && test.referenceCosts == nil && test.largestGroup == 1)
        #expect(test.differences == [[-5.5]])
        #expect(try read.sha256 == Safetensors.sha256(ofFile: folder.file("losses.csv")))
    }

    @Test(
        "says which row is wrong, and why",
        arguments: [
            ("a,1,tune,1.5,0,1\n", InputError.Kind.outOfRange, "row 1, column 'loss'", "1.5", "0.0 to 1.0"),
            ("a,1,tune,0.5,-0.25,1\n", .outOfRange, "row 1, column 'reference_loss'", "-0.25", "0.0 to 1.0"),
            ("a,1,tune,0.5,0,0\n", .outOfRange, "row 1, column 'cost'", "0.0", "positive"),
            ("a,1,tune,nan,0,1\n", .notFinite, "row 1, column 'loss'", "'nan'", "finite"),
            ("a,1,tune,much,0,1\n", .malformed, "row 1, column 'loss'", "'much'", "finite"),
            ("a,1,dev,0.5,0,1\n", .outOfRange, "row 1, column 'split'", "'dev'", "tune"),
            (",1,tune,0.5,0,1\n", .missing, "row 1, column 'candidate'", "nothing", "a label"),
            ("a,1,tune,0,0,1\na,1,tune,0,0,1\n", .mismatch, "row 2, column 'sample'", "as in row 1", "once"),
            (
                "a,1,tune,0,0.5,1\nb,1,tune,0,0.25,1\n", .mismatch, "row 2, column 'reference_loss'", "0.25",
                "0.5, as in row 1"
            ),
            (
                "a,1,tune,0,0,1\nb,1,tune,0,0,1\na,2,tune,0,0,1\n", .missing, "candidate 'b'",
                "no row for sample '2' of the tune split", "all candidates on the same samples"
            ),
        ])
    func wrong(rows: String, kind: InputError.Kind, item: String, seen: String, expected: String) throws {
        let error = try #require(throws: InputError.self) { try table(Self.header + rows) }
        #expect(error.kind == kind && error.item == item && error.file == folder.file("losses.csv"), "\(error)")
        #expect(error.seen.contains(seen) && error.expected.contains(expected), "\(error)")
    }

    @Test(
        "says which column is missing", arguments: ["candidate", "sample", "split", "loss", "reference_loss", "cost"])
    func columns(name: String) throws {
        let text = Self.header.replacingOccurrences(of: name + ",", with: "x,")
            .replacingOccurrences(of: ",cost\n", with: name == "cost" ? ",x\n" : ",cost\n")
        let header = name == "loss" ? "candidate,sample,split,x,reference_loss,cost\n" : text
        let error = try #require(throws: InputError.self) { try table(header + "a,1,tune,0,0,1\n") }
        #expect(error.kind == .missing && error.item == "column '\(name)'")
    }
}
