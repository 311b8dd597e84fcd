import CKernels

/// The sum of `x xᵀ` over rows x, added up block by block, for whoever does not need all digits: a preconditioner.
///
/// Where the processor has matrix instructions (AMX), rows are rounded to BF16, whose products these add in Float32: measured
/// for 768 features, a quarter of the time. Elsewhere products are BLAS's, in Float32. Either way the sum is that of rows that
/// are a little different, so it is positive semidefinite but for the rounding of sums.
///
/// Entries are divided among threads, not rows: no partial sums, and the same bits for any number of threads.
public struct SecondMoment: ~Copyable {
    /// How many numbers a row has.
    public let width: Int
    /// [width, width], row-major; only entries with column >= row count.
    public private(set) var upper: [Float]
    private let kernels = beem_moments_best()?.pointee
    /// The rows of `upper` that are worked on together; of each the same number of entries, about.
    private let panels: [Range<Int>]
    /// Room for packed rows.
    private let memory: Memory?

    /// A sum of no rows.
    public init(width: Int) {
        precondition(width > 0, "rows have a width")
        self.width = width
        upper = Array(repeating: 0, count: width * width)
        // The part of the triangle below a share s of its rows is (1 - s)².
        let bounds = (0...4).map { quarter in
            let share = 1 - (1 - Double(quarter) / 4).squareRoot()
            return quarter == 4 ? width : min(width, Int(share * Double(width)) / 32 * 32)
        }
        memory = kernels.map { Memory(byteCount: $0.packed_size($0.most_rows, width)) }
        panels = zip(bounds, bounds.dropFirst()).map { $0..<$1 }.filter { !$0.isEmpty }
    }

    /// How many rows are best added at once.
    public var blockRows: Int { kernels.map { $0.most_rows } ?? max(16, 262_144 / width) }

    /// Adds rows.
    ///
    /// - Parameters:
    ///   - block: [rows, width]
    ///   - threads: how many may be used; the result does not depend on it.
    /// - Complexity: O(rows * width²).
    /// - Reference: the sum in Double, in the tests.
    public mutating func add(_ block: UnsafePointer<Float>, rows: Int, threads: Int) {
        let (width, panels) = (width, panels)
        nonisolated(unsafe) let block = block
        upper.withUnsafeMutableBufferPointer { buffer in
            // Panels are parts that do not overlap.
            nonisolated(unsafe) let sums = buffer.baseAddress!
            guard let kernels, let memory else {
                return Parallel.forEach(panels.count, threads: threads) { panel in
                    BLAS.addSecondMoment(
                        of: block, rows: rows, width: width, scale: 1, panel: panels[panel], into: sums)
                }
            }
            for start in stride(from: 0, to: rows, by: kernels.most_rows) {
                let count = min(kernels.most_rows, rows - start)
                kernels.pack(block + start * width, count, width, memory.start)
                Parallel.forEach(panels.count, threads: threads) { panel in
                    kernels.add(
                        memory.start, count, width, panels[panel].lowerBound, panels[panel].upperBound, sums)
                }
            }
        }
    }

    /// Gives the entries away, to be changed in place.
    public consuming func taken() -> [Float] { upper }
}

/// Memory that is not filled first.
private final class Memory: @unchecked Sendable {
    // Safe to share: it belongs to one sum, which is not copied.
    let start: UnsafeMutableRawPointer

    init(byteCount: Int) { start = .allocate(byteCount: byteCount, alignment: 64) }

    deinit { start.deallocate() }
}
