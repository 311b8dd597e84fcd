import CKernels
import LinearAlgebra
import Safetensors

extension RowPointers {
    /// Calls a closure with rows of a block of Float32.
    ///
    /// - Parameters:
    ///   - block: [rows, width], whole rows.
    ///   - rows: which, in any order; nil for all.
    ///   - body: the pointers must not leave it.
    static func with<Result>(
        _ block: UnsafeBufferPointer<Float>, width: Int, rows: [Int]? = nil, _ body: (RowPointers) -> Result
    ) -> Result {
        let rowCount = block.count / width
        let count = rows?.count ?? rowCount
        return withUnsafeTemporaryAllocation(of: UnsafeRawPointer.self, capacity: max(count, 1)) { starts in
            for index in 0..<count {
                let row = rows?[index] ?? index
                precondition(row >= 0 && row < rowCount, "a row of the block")
                starts.initializeElement(at: index, to: UnsafeRawPointer(block.baseAddress! + row * width))
            }
            return body(
                RowPointers(starts: starts.baseAddress!, count: count, width: width, elementType: .float32))
        }
    }

    /// `outputs = ((rows - shift) · weightsᵀ + bias)ᵀ`, the rows widened and shifted in registers.
    ///
    /// - Parameters:
    ///   - weights: [columns, width]
    ///   - shift: [width]; nil for nothing.
    ///   - outputs: [columns, stride], of which `count` numbers each are written.
    /// - Complexity: O(count * width * columns); reads the rows once for six columns each.
    /// - Reference: the same in Double, in the tests of `CKernels`.
    func multiply(
        by weights: UnsafePointer<Float>, bias: UnsafePointer<Float>, shift: UnsafePointer<Float>?, columns: Int,
        stride: Int, into outputs: UnsafeMutablePointer<Float>
    ) {
        kernels.multiply(
            starts, count, elementType.kernelElement, width, shift, weights, width, bias, columns, stride, outputs)
    }

    /// Adds `factors · (rows - shift)` to sums.
    ///
    /// - Parameters:
    ///   - factors: [columns, stride], of which `count` numbers each are read.
    ///   - shift: [width]; nil for nothing.
    ///   - sums: [columns, width]
    /// - Complexity: O(count * width * columns); reads the rows once for six columns each.
    /// - Reference: the same in Double, in the tests of `CKernels`.
    func addProducts(
        with factors: UnsafePointer<Float>, shift: UnsafePointer<Float>?, columns: Int, stride: Int,
        to sums: UnsafeMutablePointer<Float>
    ) {
        kernels.add_products(
            starts, count, elementType.kernelElement, width, shift, factors, columns, stride, sums, width)
    }

    /// Copies the rows, shifted and scaled.
    ///
    /// - Parameters:
    ///   - shift: [width]
    ///   - scale: [width]; nil for ones.
    ///   - factors: [count]: what each row is multiplied by; nil for ones.
    ///   - target: [count, width], written: `(row - shift) * scale * factor`.
    /// - Complexity: O(count * width).
    func copy(
        shiftedBy shift: UnsafePointer<Float>, scaledBy scale: UnsafePointer<Float>? = nil,
        factors: UnsafePointer<Float>? = nil, into target: UnsafeMutablePointer<Float>
    ) {
        kernels.standardize(starts, count, elementType.kernelElement, width, shift, scale, factors, target)
    }

    /// Adds the rows' distances from an origin, and the squares of those, to sums in Double, and finds the lowest and highest.
    ///
    /// - Parameters:
    ///   - origin: [width]
    ///   - sums: [width]
    ///   - squares: [width]
    ///   - lowest: [width]: becomes what is lower.
    ///   - highest: [width]: becomes what is higher.
    /// - Complexity: O(count * width).
    func addMoments(
        around origin: UnsafePointer<Float>, sums: UnsafeMutablePointer<Double>,
        squares: UnsafeMutablePointer<Double>, lowest: UnsafeMutablePointer<Float>,
        highest: UnsafeMutablePointer<Float>
    ) {
        kernels.add_moments(
            starts, count, elementType.kernelElement, width, origin, sums, squares, lowest, highest)
    }
}
