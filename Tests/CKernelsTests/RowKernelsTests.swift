import CKernels
import Statistics
import Testing

@Suite("The kernels over rows, for each instruction set that this processor has")
struct RowKernelsTests {
    /// All there are kernels for, here.
    private static let all: [beem_kernels] = (0..<beem_kernels_count()).compactMap { beem_kernels_at($0)?.pointee }

    private static let elements = [beem_float32, beem_float16, beem_bfloat16]

    /// Random rows in one type at an odd address, each by itself, with what they are in Double.
    private struct Rows {
        let element: beem_element
        let width: Int
        let values: [[Double]]
        private let bytes: [[UInt8]]

        init(_ count: Int, width: Int, _ element: beem_element, around offset: Float, seed: UInt64) {
            var generator = SplitMix64(seed: seed)
            self.element = element
            self.width = width
            var (values, bytes): ([[Double]], [[UInt8]]) = ([], [])
            for _ in 0..<count {
                var row: [Double] = []
                // The last three bytes are NaN to whoever reads beyond the end.
                var memory: [UInt8] = [0xFF]
                for _ in 0..<width {
                    let number = offset + Float.random(in: -1...1, using: &generator)
                    switch element {
                    case beem_float32:
                        row.append(Double(number))
                        withUnsafeBytes(of: number) { memory += $0 }
                    case beem_float16:
                        row.append(Double(Float16(number)))
                        withUnsafeBytes(of: Float16(number)) { memory += $0 }
                    default:
                        let half = UInt16(truncatingIfNeeded: number.bitPattern >> 16)
                        row.append(Double(Float(bitPattern: UInt32(half) << 16)))
                        withUnsafeBytes(of: half) { memory += $0 }
                    }
                }
                values.append(row)
                bytes.append(memory + [0xFF, 0xFF, 0xFF])
            }
            self.values = values
            self.bytes = bytes
        }

        /// Calls with the rows' pointers, valid meanwhile.
        func withPointers(_ body: (UnsafePointer<UnsafeRawPointer>) -> Void) {
            var starts: [UnsafeRawPointer] = []
            func add(_ index: Int) {
                guard index < bytes.count else { return body(starts + [UnsafeRawPointer(bitPattern: 1)!]) }
                bytes[index].withUnsafeBytes {
                    starts.append($0.baseAddress! + 1)
                    add(index + 1)
                }
            }
            add(0)
        }
    }

    /// Widths around the lengths of vectors and of strips of them.
    private static let widths = [1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 100, 129, 257]

    private static func numbers(_ count: Int, seed: UInt64) -> [Float] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in .random(in: -1...1, using: &generator) }
    }

    /// Sums of n Float32 products of numbers up to 1 are within this of the exact ones.
    private static func tolerance(_ count: Int) -> Double { Double(count + 8) * Double(Float.ulpOfOne) }

    /// What memory holds behind a result, which kernels must leave alone.
    private static let guardValue: Float = -77

    @Test("are those of one instruction set at least, the best first")
    func choice() {
        #expect(!Self.all.isEmpty)
        #expect(Self.all.last.map { String(cString: $0.name) } == "portable")
        #expect(String(cString: beem_kernels_best().pointee.name) == String(cString: Self.all[0].name))
        #expect(beem_kernels_at(beem_kernels_count()) == nil)
    }

    @Test("multiply rows with columns as the sums in Double do", arguments: elements.map(\.rawValue), widths)
    func multiply(element: UInt32, width: Int) {
        for columns in [1, 2, 3, 4, 5, 6, 7, 12, 13] {
            for count in [0, 1, 2, 3, 4, 7, 9] {
                for isShifted in [true, false] {
                    // A hundred times the deviation: the shift has to be taken before numbers are multiplied.
                    let rows = Rows(
                        count, width: width, beem_element(element), around: isShifted ? 100 : 0, seed: 1)
                    let shift = Self.numbers(width, seed: 2).map { isShifted ? 100 + 0.1 * $0 : 0 }
                    let apart = width + 3
                    let (weights, bias) = (Self.numbers(columns * apart, seed: 3), Self.numbers(columns, seed: 4))
                    for kernels in Self.all {
                        let stride = count + 2
                        var found = [Float](repeating: Self.guardValue, count: columns * stride)
                        rows.withPointers { rows in
                            shift.withUnsafeBufferPointer {
                                kernels.multiply(
                                    rows, count, beem_element(element), width, isShifted ? $0.baseAddress : nil,
                                    weights,
                                    apart, bias, columns, stride, &found)
                            }
                        }
                        #expect(found.indices.allSatisfy { $0 % stride < count || found[$0] == Self.guardValue })
                        for row in 0..<count {
                            for column in 0..<columns {
                                var exact = Double(bias[column])
                                for index in 0..<width {
                                    exact +=
                                        (rows.values[row][index] - Double(shift[index]))
                                        * Double(weights[column * apart + index])
                                }
                                #expect(abs(Double(found[column * stride + row]) - exact) <= Self.tolerance(width))
                            }
                        }
                    }
                }
            }
        }
    }

    @Test("give a row the same outputs, to the last bit, whichever rows are beside it")
    func neighbours() {
        let rows = Rows(11, width: 77, beem_float16, around: 0, seed: 15)
        let shift = Self.numbers(77, seed: 16)
        for columns in [1, 2, 6, 7] {
            let (weights, bias) = (Self.numbers(columns * 77, seed: 17), Self.numbers(columns, seed: 18))
            for kernels in Self.all {
                var together = [Float](repeating: 0, count: 11 * columns)
                var alone = together
                rows.withPointers { starts in
                    kernels.multiply(starts, 11, rows.element, 77, shift, weights, 77, bias, columns, 11, &together)
                    for row in 0..<11 {
                        alone.withUnsafeMutableBufferPointer {
                            kernels.multiply(
                                starts + row, 1, rows.element, 77, shift, weights, 77, bias, columns, 11,
                                $0.baseAddress! + row)
                        }
                    }
                }
                #expect(alone == together)
            }
        }
    }

    @Test("add products of rows to sums as Double does", arguments: elements.map(\.rawValue), widths)
    func addProducts(element: UInt32, width: Int) {
        for columns in [1, 2, 3, 4, 5, 6, 7, 12, 13] {
            for count in [0, 1, 5, 64] {
                for isShifted in [true, false] {
                    let rows = Rows(
                        count, width: width, beem_element(element), around: isShifted ? 100 : 0, seed: 5)
                    let shift = Self.numbers(width, seed: 6).map { isShifted ? 100 + 0.1 * $0 : 0 }
                    let (stride, apart) = (count + 2, width + 3)
                    let factors = Self.numbers(columns * stride, seed: 7)
                    let start = Self.numbers(columns * apart, seed: 8).enumerated().map {
                        $0 % apart < width ? $1 : Self.guardValue
                    }
                    for kernels in Self.all {
                        var found = start
                        rows.withPointers { rows in
                            shift.withUnsafeBufferPointer {
                                kernels.add_products(
                                    rows, count, beem_element(element), width, isShifted ? $0.baseAddress : nil,
                                    factors,
                                    columns, stride, &found, apart)
                            }
                        }
                        #expect(found.indices.allSatisfy { $0 % apart < width || found[$0] == Self.guardValue })
                        for column in 0..<columns {
                            for index in 0..<width {
                                var exact = Double(start[column * apart + index])
                                for row in 0..<count {
                                    exact +=
                                        (rows.values[row][index] - Double(shift[index]))
                                        * Double(factors[column * stride + row])
                                }
                                #expect(abs(Double(found[column * apart + index]) - exact) <= Self.tolerance(count))
                            }
                        }
                    }
                }
            }
        }
    }

    @Test("shift and scale rows, with a factor for each or without", arguments: elements.map(\.rawValue), widths)
    func standardize(element: UInt32, width: Int) {
        let rows = Rows(5, width: width, beem_element(element), around: 100, seed: 9)
        let (shift, scale) = (Self.numbers(width, seed: 10).map { 100 + 0.1 * $0 }, Self.numbers(width, seed: 11))
        for kernels in Self.all {
            for factors in [nil, Self.numbers(5, seed: 12)] {
                var found = [Float](repeating: Self.guardValue, count: 5 * width + 1)
                rows.withPointers {
                    if let factors {
                        kernels.standardize($0, 5, rows.element, width, shift, scale, factors, &found)
                    } else {
                        kernels.standardize($0, 5, rows.element, width, shift, scale, nil, &found)
                    }
                }
                #expect(found.last == Self.guardValue)
                for row in 0..<5 {
                    for index in 0..<width {
                        let centred = Float(rows.values[row][index]) - shift[index]
                        #expect(found[row * width + index] == centred * scale[index] * (factors?[row] ?? 1))
                    }
                }
            }
            var centred = [Float](repeating: 0, count: 5 * width)
            rows.withPointers { kernels.standardize($0, 5, rows.element, width, shift, nil, nil, &centred) }
            for row in 0..<5 {
                for index in 0..<width {
                    #expect(centred[row * width + index] == Float(rows.values[row][index]) - shift[index])
                }
            }
        }
    }

    @Test(
        "sum distances from an origin and their squares in Double, and find the lowest and highest",
        arguments: elements.map(\.rawValue), widths)
    func moments(element: UInt32, width: Int) {
        let rows = Rows(70, width: width, beem_element(element), around: 100, seed: 13)
        let origin = rows.values[0].map { Float($0) }
        for kernels in Self.all {
            var (sums, squares) = ([Double](repeating: 1, count: width + 1), [Double](repeating: 2, count: width + 1))
            // Of some, those there were are lower or higher.
            var lowest = (0..<width).map { Float($0 % 3 == 0 ? -100 : 100) } + [3]
            var highest = (0..<width).map { Float($0 % 3 == 1 ? 100 : -100) } + [4]
            rows.withPointers {
                kernels.add_moments($0, 70, rows.element, width, origin, &sums, &squares, &lowest, &highest)
            }
            #expect(sums[width] == 1 && squares[width] == 2 && lowest[width] == 3 && highest[width] == 4)
            for index in 0..<width {
                let distances = rows.values.map { Double(Float($0[index]) - origin[index]) }
                #expect(lowest[index] == (index % 3 == 0 ? -100 : distances.min().map { Float($0) }))
                #expect(highest[index] == (index % 3 == 1 ? 100 : distances.max().map { Float($0) }))
                let sum = distances.reduce(0, +)
                let square = distances.reduce(0) { $0 + $1 * $1 }
                // One addition after the other, and then to what was there: the same bits wherever it runs.
                #expect(sums[index] == 1 + sum && squares[index] == 2 + square)
            }
        }
    }

    @Test("widen any count from any address")
    func widen() {
        for element in Self.elements {
            for count in Self.widths + [0] {
                let rows = Rows(1, width: count, element, around: 0, seed: 14)
                for kernels in Self.all {
                    var found = [Float](repeating: Self.guardValue, count: count + 1)
                    rows.withPointers { kernels.widen($0[0], element, count, &found) }
                    #expect(found == rows.values[0].map { Float($0) } + [Self.guardValue])
                }
            }
        }
    }

    @Test("widen all 65,536 F16 exactly; a NaN stays one, with its sign and payload")
    func allHalves() {
        let patterns = Array(UInt16.min...UInt16.max)
        for kernels in Self.all {
            var found = [Float](repeating: 0, count: patterns.count)
            kernels.widen(patterns, beem_float16, patterns.count, &found)
            for (pattern, value) in zip(patterns, found) {
                let exact = Float(Float16(bitPattern: pattern))
                let isSame =
                    exact.isNaN
                    ? value.bitPattern | 0x40_0000
                        == UInt32(pattern & 0x8000) << 16 | 0x7FC0_0000 | UInt32(pattern & 0x3FF) << 13
                    : value.bitPattern == exact.bitPattern
                if !isSame { Issue.record("\(String(cString: kernels.name)): \(pattern)") }
            }
        }
    }
}
