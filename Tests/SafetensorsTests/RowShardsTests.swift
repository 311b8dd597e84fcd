import Foundation
import TestSupport
import Testing

@testable import Safetensors

@Suite("Row shards and their index")
struct RowShardsTests {
    private let folder: TemporaryFolder
    private let index = "rows.safetensors.index.json"

    /// Three files with 3, 1 and 2 rows of `x` [6, 2], which counts up from 0, and of `n` [6], which counts up from 10.
    init() throws {
        folder = try TemporaryFolder()
        try write("1.safetensors", rows: 0..<3)
        try write("2.safetensors", rows: 3..<4)
        try write("3.safetensors", rows: 4..<6)
    }

    private func write(
        _ name: String, rows: Range<Int>, type: ElementType = .float32, width: Int = 2, counts: Int? = nil,
        floats: [String: [Float]] = [:], metadata: [String: String] = [:]
    ) throws {
        let x = TensorDescription(name: "x", elementType: type, shape: [rows.count, width])
        let n = TensorDescription(name: "n", elementType: .int32, shape: [counts ?? rows.count])
        let more = floats.sorted { $0.key < $1.key }.map {
            TensorDescription(name: $0.key, elementType: .float32, shape: [$0.value.count])
        }
        let tensors = TensorDescription.wideFirst([x, n] + more)
        var writer = try SafetensorsWriter(creating: folder.file(name), tensors: tensors, metadata: metadata)
        for tensor in tensors {
            switch tensor.name {
            case "x":
                try writer.append((0..<(rows.count * width)).map { Float(rows.lowerBound * width + $0) }, to: "x")
            case "n": try writer.append((0..<n.shape[0]).map { Int32(10 + rows.lowerBound + $0) }, to: "n")
            default: try writer.append(floats[tensor.name]!, to: tensor.name)
            }
        }
        try writer.finish()
    }

    private func open(_ text: String = Self.good) throws -> SafetensorsStore {
        try SafetensorsStore(opening: folder.write(text, as: index))
    }

    private func error(_ text: String = Self.good) throws -> InputError {
        try #require(throws: InputError.self) { try open(text) }
    }

    private static let good = #"{"row_shards": ["1.safetensors", "2.safetensors", "3.safetensors"]}"#

    // MARK: - Reading

    @Test("are read as one, in the order listed")
    func reads() throws {
        let store = try open()
        #expect(store.names == ["x", "n"])
        let x = try store.tensor("x")
        #expect(x.shape == [6, 2] && x.rowCount == 6 && x.elementsPerRow == 2 && x.path == store.path)
        #expect(try x.floats() == (0..<12).map(Float.init))
        #expect(try store.tensor("n").integers() == [10, 11, 12, 13, 14, 15])
        #expect(store.rowShards.map(\.rows) == [0..<3, 3..<4, 4..<6])
        #expect(store.rowShards.map(\.path) == (1...3).map { folder.file("\($0).safetensors") })
        #expect(store.rowShards.map(\.byteCount) == store.files.map(\.file.count))

        let turned = try open(#"{"row_shards": ["3.safetensors", "1.safetensors"]}"#)
        #expect(try turned.tensor("n").integers() == [14, 15, 10, 11, 12])
    }

    @Test("give any range of elements, rows and bytes")
    func ranges() throws {
        let x = try open().tensor("x")
        for start in 0...12 {
            for end in start...12 {
                var values = [Float](repeating: -1, count: end - start + 1)
                x.copyFloats(start..<end, into: &values)
                #expect(values == (start..<end).map(Float.init) + [-1])
            }
        }
        for start in 0...6 {
            for end in start...6 {
                var pieces: [Int] = []
                var bytes: [UInt8] = []
                x.forEachPiece(ofRows: start..<end) {
                    pieces.append($0.count / 8)
                    bytes += $0
                }
                let cuts = [start, end] + [3, 4].filter { start < $0 && $0 < end }
                let expected = zip(cuts.sorted(), cuts.sorted().dropFirst()).map { $1 - $0 }.filter { $0 > 0 }
                #expect(pieces == expected)
                #expect(bytes == (2 * start..<2 * end).flatMap { withUnsafeBytes(of: Float($0), Array.init) })
            }
        }
    }

    @Test("give rows in any order, from every type", arguments: [ElementType.float32, .float16, .bfloat16])
    func rows(type: ElementType) throws {
        let (rowCount, width) = (64, 3)
        var generator = TestGenerator(state: 7)
        var bounds: Set = [0, rowCount]
        while bounds.count < 12 { bounds.insert(Int.random(in: 1..<rowCount, using: &generator)) }
        let cuts = bounds.sorted()
        for (place, rows) in zip(cuts, cuts.dropFirst()).map({ $0..<$1 }).enumerated() {
            try write("part-\(place).safetensors", rows: rows, type: type, width: width)
        }
        try write("all.safetensors", rows: 0..<rowCount, type: type, width: width)
        let names = (0..<(cuts.count - 1)).map { "\"part-\($0).safetensors\"" }.joined(separator: ",")
        let cut = try open("{\"row_shards\": [\(names)]}").tensor("x")
        let whole = try SafetensorsFile(opening: folder.file("all.safetensors")).tensor("x")
        #expect(cut.segments.count == 11 && whole.segments.count == 1 && cut.description == whole.description)
        for count in [1, 5, 200] {
            let rows = (0..<count).map { _ in Int32.random(in: 0..<Int32(rowCount), using: &generator) }
            let copies = [cut, whole].map { tensor in
                [Float](unsafeUninitializedCapacity: count * width) { buffer, filled in
                    rows.withUnsafeBufferPointer { tensor.copyRows($0, into: buffer.baseAddress!) }
                    filled = count * width
                }
            }
            #expect(copies[0] == copies[1])
            #expect(copies[0] == rows.flatMap { row in (0..<width).map { Float(Int(row) * width + $0) } })
        }
    }

    @Test("say where the first number is that is not finite, among all rows or some")
    func notFinite() throws {
        let values: [[Float]] = [[0, 1, 2], [.nan], [4, .infinity]]
        for (place, rows) in [0..<3, 3..<4, 4..<6].enumerated() {
            try write("\(place + 1).safetensors", rows: rows, floats: ["y": values[place]])
        }
        let (x, y) = (try open().tensor("x"), try open().tensor("y"))
        #expect(x.firstNonFinite() == nil && x.firstNonFinite(rows: 2..<5) == nil)
        #expect(y.firstNonFinite() == 3 && y.firstNonFinite(rows: 0..<3) == nil)
        #expect(y.firstNonFinite(rows: 3..<4) == 3 && y.firstNonFinite(rows: 4..<6) == 5)
        #expect(y.firstNonFinite(rows: 4..<5) == nil && y.firstNonFinite(rows: 6..<6) == nil)
        #expect(
            y.location(ofElement: 5)
                == .init(file: folder.file("3.safetensors"), index: 1, remark: " (row 5 of all shards)"))
        #expect(x.location(ofElement: 11).index == 3 && x.location(ofElement: 11).remark == " (row 5 of all shards)")
        let alone = try open(#"{"row_shards": ["3.safetensors"]}"#).tensor("x")
        #expect(alone.location(ofElement: 1) == .init(file: folder.file("3.safetensors"), index: 1, remark: ""))
    }

    @Test("stand beside tensors that are placed whole, of which they may hold copies")
    func whole() throws {
        try write("1.safetensors", rows: 0..<3, floats: ["p": [1, 2, 3, 4]])
        try write("3.safetensors", rows: 4..<6, floats: ["p": [1, 2, 3, 4]])
        var writer = try SafetensorsWriter(
            creating: folder.file("q.safetensors"),
            tensors: [TensorDescription(name: "q", elementType: .float32, shape: [])])
        try writer.append([9] as [Float], to: "q")
        try writer.finish()
        let text = Self.good.dropLast() + #", "weight_map": {"p": "1.safetensors", "q": "q.safetensors"}}"#
        let store = try open(String(text))
        #expect(store.names == ["x", "n", "p", "q"] && store.files.count == 4 && store.rowShards.count == 3)
        #expect(try store.tensor("p").floats() == [1, 2, 3, 4] && store.tensor("q").floats() == [9])
        #expect(try store.tensor("p").path == folder.file("1.safetensors"))
        try store.checkCopies()

        try write("3.safetensors", rows: 4..<6, floats: ["p": [1, 2, 3, 5]])
        let error = try #require(throws: InputError.self) { try open(String(text)).checkCopies() }
        #expect(error.kind == .mismatch && error.item == "p" && error.file == folder.file("3.safetensors"))
        #expect(error.seen == "other numbers" && error.expected.contains(folder.file("1.safetensors")))
    }

    @Test("hash as the lines of sha256sum, in the order of their names")
    func hash() throws {
        let store = try open(#"{"row_shards": ["3.safetensors", "1.safetensors"]}"#)
        let lines = try [index, "1.safetensors", "3.safetensors"].map {
            try "\(sha256(ofFile: folder.file($0)))  \($0)\n"
        }
        #expect(store.sha256() == sha256(of: Data(lines.joined().utf8)))
    }

    @Test("share metadata, or one of them has it")
    func metadata() throws {
        try write("2.safetensors", rows: 3..<4, metadata: ["classes": "[]"])
        #expect(try open().metadata == ["classes": "[]"])
        try write("3.safetensors", rows: 4..<6, metadata: ["classes": "[1]"])
        let error = try error()
        #expect(error.kind == .mismatch && error.item == "__metadata__.classes")
    }

    // MARK: - Writing

    @Test("are joined before the index is written, and the same after")
    func joining() throws {
        try write("1.safetensors", rows: 0..<3, floats: ["p": [1, 2]])
        let names = (1...3).map { "\($0).safetensors" }
        let joined = try SafetensorsStore(
            rowShards: names, whole: ["p": "1.safetensors"], index: folder.file(index))
        #expect(try !folder.contents().contains(index))
        try joined.writeIndex()
        let store = try SafetensorsStore(opening: folder.file(index))
        #expect(store.names == joined.names && store.rowShards == joined.rowShards)
        #expect(store.sha256() == joined.sha256())
        let text = try String(contentsOfFile: folder.file(index), encoding: .utf8)
        #expect(
            text == """
                {
                  "row_shards" : [
                    "1.safetensors",
                    "2.safetensors",
                    "3.safetensors"
                  ],
                  "weight_map" : {
                    "p" : "1.safetensors"
                  }
                }

                """)
    }

    // MARK: - Mistakes in the index

    @Test(
        "need a list of files in the folder of the index, each once",
        arguments: [
            ("[]", "row_shards"), ("{}", "row_shards"), ("[1]", "row_shards[0]"),
            (#"["1.safetensors", ""]"#, "row_shards[1]"),
            (#"["1.safetensors", "../1.safetensors"]"#, "row_shards[1]"), (#"["sub/1.safetensors"]"#, "row_shards[0]"),
            (#"["1.safetensors", "2.safetensors", "1.safetensors"]"#, "row_shards[2]"),
        ])
    func badList(list: String, item: String) throws {
        let error = try error("{\"row_shards\": \(list)}")
        #expect(error.kind == .malformed && error.item == item && error.file == folder.file(index))
        #expect(!error.seen.isEmpty && error.advice?.contains("row_shards") == true)
    }

    @Test("or whole tensors, must be named by the index")
    func neither() throws {
        let error = try error(#"{"metadata": {}}"#)
        #expect(error.kind == .malformed && error.item == "weight_map" && error.seen == "neither it nor row_shards")
    }

    @Test("must be there, and hold the whole tensors that are placed in them")
    func absent() throws {
        let gone = try error(#"{"row_shards": ["1.safetensors", "4.safetensors"]}"#)
        #expect(gone.kind == .unreadable && gone.file == folder.file("4.safetensors"))
        let lacking = try error(Self.good.dropLast() + #", "weight_map": {"p": "2.safetensors"}}"#)
        #expect(lacking.kind == .missing && lacking.item == "p" && lacking.file == folder.file("2.safetensors"))
    }

    // MARK: - Files that do not fit together

    private func mismatch(_ kind: InputError.Kind = .mismatch, item: String?, file: String = "2.safetensors") throws
        -> InputError
    {
        let error = try error()
        #expect(error.kind == kind && error.item == item && error.file == folder.file(file))
        #expect(!error.seen.isEmpty && !error.expected.isEmpty && error.advice != nil)
        return error
    }

    @Test("must hold the tensors of the first, and no others")
    func sameTensors() throws {
        try write("1.safetensors", rows: 0..<3, floats: ["y": [1, 2, 3]])
        #expect(try mismatch(.missing, item: "y").expected.contains(folder.file("1.safetensors")))
        try write("1.safetensors", rows: 0..<3)
        try write("2.safetensors", rows: 3..<4, floats: ["y": [1]])
        #expect(try mismatch(item: "y").seen.contains(folder.file("1.safetensors")))
    }

    @Test("must have the types of the first")
    func sameTypes() throws {
        try write("2.safetensors", rows: 3..<4, type: .float16)
        let error = try mismatch(item: "x")
        #expect(error.seen == "elements of type F16" && error.expected.hasPrefix("F32, as in"))
    }

    @Test("must have the widths of the first")
    func sameWidths() throws {
        try write("2.safetensors", rows: 3..<4, width: 3)
        let error = try mismatch(item: "x")
        #expect(error.seen == "shape [1, 3]" && error.expected.hasPrefix("any number of rows of [2], as in"))
    }

    @Test("must have as many rows of one tensor as of another")
    func sameRows() throws {
        try write("2.safetensors", rows: 3..<4, counts: 2)
        let error = try mismatch(item: "n")
        #expect(error.seen == "2 rows" && error.expected == "1, as x has in this file")
    }

    @Test("must have rows, at least one")
    func someRows() throws {
        try write("2.safetensors", rows: 3..<3)
        let empty = try error()
        #expect(empty.kind == .mismatch && empty.file == folder.file("2.safetensors"))
        #expect(empty.seen.hasPrefix("shape [0") && empty.expected == "rows, at least 1")
        let scalar = #"{"s": {"dtype": "U8", "shape": [], "data_offsets": [0, 1]}}"#
        try folder.write(safetensorsBytes(header: scalar, dataCount: 1), as: "1.safetensors")
        let error = try mismatch(item: "s", file: "1.safetensors")
        #expect(error.seen == "shape []" && error.advice?.contains("weight_map") == true)
    }

    @Test("must hold more than whole tensors")
    func onlyWhole() throws {
        let error = try error(
            #"{"row_shards": ["1.safetensors"], "weight_map": {"x": "1.safetensors", "n": "1.safetensors"}}"#)
        #expect(error.kind == .missing && error.file == folder.file("1.safetensors"))
    }

    @Test("cannot hold rows of a tensor that is placed whole")
    func both() throws {
        let error = try error(Self.good.dropLast() + #", "weight_map": {"n": "1.safetensors"}}"#)
        #expect(error.kind == .mismatch && error.item == "n" && error.file == folder.file("2.safetensors"))
        #expect(error.seen == "I32 [1]" && error.expected.hasPrefix("a copy of I32 [3] in"))
        #expect(error.advice?.hasPrefix("Take the tensor out of weight_map") == true)
    }

    @Test("have at most as many rows as 32 bits can count")
    func tooMany() throws {
        // Rows without elements need no bytes.
        for (name, rows) in [("1", Int(Int32.max) - 1), ("2", 1), ("3", 1), ("4", Int.max / 2)] {
            let header = "{\"x\": {\"dtype\": \"U8\", \"shape\": [\(rows), 0], \"data_offsets\": [0, 0]}}"
            try folder.write(safetensorsBytes(header: header), as: "\(name).safetensors")
        }
        let most = try open(#"{"row_shards": ["1.safetensors", "2.safetensors"]}"#)
        #expect(try most.tensor("x").rowCount == Int(Int32.max))
        for (text, file) in [
            (Self.good, "3.safetensors"), (#"{"row_shards": ["4.safetensors", "1.safetensors"]}"#, "4.safetensors"),
        ] {
            let error = try error(text)
            #expect(error.kind == .unsupported && error.file == folder.file(file))
            #expect(error.expected == "at most 2147483647")
        }
    }
}
