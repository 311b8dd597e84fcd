import CKernels
import Statistics
import Testing

@testable import LinearAlgebra

@Suite("A second moment that is added up block by block")
struct SecondMomentTests {
    private static func random(_ count: Int, seed: UInt64) -> [Float] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in .random(in: -1...1, using: &generator) }
    }

    /// Around the sides of tiles, of squares of them and of panels.
    private static let widths = [1, 3, 16, 31, 32, 33, 64, 100, 129, 257]

    @Test(
        "is the sum in Double to BF16's rounding, for any number of rows and threads", arguments: widths,
        [1, 2, 33, 600])
    func sum(width: Int, rows: Int) {
        let block = Self.random(rows * width, seed: 1)
        var sums: [[Float]] = []
        for threads in [1, 2, 5] {
            var moment = SecondMoment(width: width, threads: threads)
            // In two parts, to see that it is added.
            let first = rows / 3
            block.withUnsafeBufferPointer {
                if first > 0 { moment.add($0.baseAddress!, rows: first) }
                moment.add($0.baseAddress! + first * width, rows: rows - first)
            }
            sums.append(moment.blocks()[0])
        }
        for row in 0..<width {
            for column in row..<width {
                var (exact, magnitude) = (0.0, 0.0)
                for index in 0..<rows {
                    let product = Double(block[index * width + row]) * Double(block[index * width + column])
                    exact += product
                    magnitude += abs(product)
                }
                // BF16 has eight digits: each factor is off by at most 2^-8 of itself.
                let tolerance = magnitude * 0x1p-7 + 1e-5 * magnitude
                #expect(abs(Double(sums[0][row * width + column]) - exact) <= tolerance)
                #expect(sums.allSatisfy { $0[row * width + column] == sums[0][row * width + column] })
            }
        }
    }

    @Test("of groups is made of the blocks on the diagonal of the whole one", arguments: [31, 64, 65, 200])
    func groups(width: Int) {
        let rows = 300
        let block = Self.random(rows * width, seed: 4)
        var whole = SecondMoment(width: width, threads: 2)
        var grouped = SecondMoment(width: width, group: 64, threads: 3)
        whole.add(block, rows: rows)
        grouped.add(block, rows: rows)
        let (all, blocks) = (whole.blocks()[0], grouped.blocks())
        #expect(blocks.count == (width + 63) / 64)
        for (group, block) in blocks.enumerated() {
            let start = 64 * group
            let count = min(64, width - start)
            #expect(block.count == count * count)
            for row in 0..<count {
                for column in row..<count {
                    let expected = all[(start + row) * width + start + column]
                    #expect(abs(block[row * count + column] - expected) <= 1e-4 * Float(rows))
                }
            }
        }
    }

    @Test("has errors that average out: far below BF16's precision for many rows of numbers without a pattern")
    func errors() {
        let (width, rows) = (64, 2000)
        let block = Self.random(rows * width, seed: 2)
        var moment = SecondMoment(width: width, threads: 2)
        moment.add(block, rows: rows)
        let upper = moment.blocks()[0]
        var worst = 0.0
        for row in 0..<width {
            for column in row..<width {
                let exact = (0..<rows).reduce(0.0) {
                    $0 + Double(block[$1 * width + row]) * Double(block[$1 * width + column])
                }
                worst = max(worst, abs(Double(upper[row * width + column]) - exact))
            }
        }
        // The diagonal is about 2000 / 3.
        #expect(worst < 1e-3 * Double(rows) / 3)
    }

    @Test("can be factored when something is added to its diagonal, also of fewer rows than numbers in each")
    func positive() {
        let (width, rows) = (130, 40)
        var moment = SecondMoment(width: width, threads: 2)
        moment.add(Self.random(rows * width, seed: 3), rows: rows)
        var matrix = moment.blocks()[0]
        for index in 0..<width { matrix[index * width + index] += 1e-3 * Float(rows) }
        #expect(CholeskyFactor(upper: matrix, order: width) != nil)
    }
}
