import CKernels

/// The sum of `x xᵀ` over rows x, added up block by block, for whoever does not need all digits: a preconditioner.
///
/// Where the processor has matrix instructions (AMX), rows are rounded to BF16, whose products these add in Float32: measured
/// for 768 features, a fifth of the time. Elsewhere products are BLAS's, in Float32. Either way the sum is that of rows that
/// are a little different, so it is positive semidefinite but for the rounding of sums.
///
/// Entries are divided among threads, not rows: no partial sums, and the same bits for any number of threads.
public struct SecondMoment: ~Copyable {
    /// How many numbers a row has.
    public let width: Int
    /// How many columns are together in a group: products are of columns of the same group.
    public let group: Int
    private let threads: Int
    private let kernels = beem_moments_best()?.pointee
    /// With matrix instructions [squares, numbers of a square], otherwise [width, width], of which the upper triangle counts.
    private var sums: [Float]
    /// Room for packed rows.
    private let packed: AlignedMemory?
    /// How many steps of them wait to be added.
    private var waitingSteps = 0

    /// Whether the processor has matrix instructions, with which a sum takes a fifth of the time.
    public static var hasMatrixInstructions: Bool { beem_moments_best() != nil }

    /// How many parts of the entries can be worked on at once.
    private static let parts = 4

    /// A sum of no rows.
    ///
    /// - Parameters:
    ///   - group: how many columns are together in a group, a multiple of 32, where only the blocks on the diagonal are
    ///     wanted; nil for one group.
    ///   - threads: how many may be used; the result does not depend on it.
    public init(width: Int, group: Int? = nil, threads: Int) {
        precondition(width > 0, "rows have a width")
        let group = min(group ?? width, width)
        precondition(group == width || group > 0 && group % 32 == 0, "groups of a multiple of 32")
        self.width = width
        self.group = group
        self.threads = threads
        let count = kernels.map { $0.square_count(width, group) * $0.square_numbers } ?? width * width
        sums = Array(repeating: 0, count: count)
        packed = kernels.map { AlignedMemory(byteCount: $0.packed_size(width)) }
    }

    /// How many rows are best added at once: such that they are still in the core's cache when they are packed, or enough
    /// for BLAS.
    public var blockRows: Int { kernels.map { 2 * $0.step_rows } ?? max(16, 262_144 / width) }

    /// Adds rows.
    ///
    /// - Parameter block: [rows, width]
    /// - Complexity: O(rows * width²).
    /// - Reference: the sum in Double, in the tests.
    public mutating func add(_ block: UnsafePointer<Float>, rows: Int) {
        guard let kernels, let packed else { return addWithBLAS(block, rows: rows) }
        for start in stride(from: 0, to: rows, by: kernels.step_rows) {
            let count = min(kernels.step_rows, rows - start)
            kernels.pack(block + start * width, count, width, waitingSteps, packed.start)
            waitingSteps += 1
            if waitingSteps == kernels.most_steps { addWaiting(kernels, packed) }
        }
    }

    private mutating func addWaiting(_ kernels: beem_moments, _ packed: AlignedMemory) {
        guard waitingSteps > 0 else { return }
        let (width, group, steps) = (width, group, waitingSteps)
        let squares = kernels.square_count(width, group)
        sums.withUnsafeMutableBufferPointer { buffer in
            // Parts do not overlap.
            nonisolated(unsafe) let sums = buffer.baseAddress!
            Parallel.forEach(Self.parts, threads: threads) { part in
                let (first, last) = (squares * part / Self.parts, squares * (part + 1) / Self.parts)
                kernels.add(packed.start, steps, width, group, first, last, sums)
            }
        }
        waitingSteps = 0
    }

    private mutating func addWithBLAS(_ block: UnsafePointer<Float>, rows: Int) {
        let (width, panels) = (width, panels)
        nonisolated(unsafe) let block = block
        sums.withUnsafeMutableBufferPointer { buffer in
            // Panels are parts that do not overlap.
            nonisolated(unsafe) let sums = buffer.baseAddress!
            Parallel.forEach(panels.count, threads: threads) { panel in
                BLAS.addSecondMoment(
                    of: block, rows: rows, width: width, scale: 1, panel: panels[panel].rows,
                    columnEnd: panels[panel].end, into: sums)
            }
        }
    }

    /// Rows of the sum that are worked on together, and where their columns end: the groups, or parts of the only one with the
    /// same number of entries, about.
    private var panels: [(rows: Range<Int>, end: Int)] {
        guard group == width else {
            return stride(from: 0, to: width, by: group).map { ($0..<min($0 + group, width), min($0 + group, width)) }
        }
        // The part of the triangle below a share s of its rows is (1 - s)².
        let bounds = (0...Self.parts).map { part in
            Int((1 - (1 - Double(part) / Double(Self.parts)).squareRoot()) * Double(width))
        }
        return zip(bounds, bounds.dropFirst()).map { ($0..<$1, width) }.filter { !$0.0.isEmpty }
    }

    /// The sum of each group: [columns, columns], row-major; only entries with column >= row count.
    public consuming func blocks() -> [[Float]] {
        if let kernels, let packed { addWaiting(kernels, packed) }
        let (width, group, kernels, sums) = (width, group, kernels, sums)
        return stride(from: 0, to: width, by: group).map { start in
            let count = min(group, width - start)
            return [Float](unsafeUninitializedCapacity: count * count) { block, size in
                let target = block.baseAddress!
                for row in 0..<count { (target + row * count).initialize(repeating: 0, count: row) }
                sums.withUnsafeBufferPointer { sums in
                    let source = sums.baseAddress!
                    if let kernels {
                        let squares = start / group * kernels.square_count(group, group)
                        kernels.unpack(source + squares * kernels.square_numbers, count, target)
                    } else {
                        for row in 0..<count {
                            (target + row * count + row).initialize(
                                from: source + (start + row) * width + start + row, count: count - row)
                        }
                    }
                }
                size = count * count
            }
        }
    }
}
