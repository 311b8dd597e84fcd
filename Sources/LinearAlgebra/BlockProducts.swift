import CKernels

/// Products of some columns of right-hand sides with a block of rows, by the kernels for few columns: what
/// ``CholeskyFactor/solve(_:)`` is made of, whose test checks them.
struct BlockProducts {
    /// How many right-hand sides there are.
    private let count: Int
    /// From one right-hand side to the next.
    private let order: Int
    private let blockSize: Int
    /// [blockSize]: where the rows of a block start.
    private let starts: UnsafeMutablePointer<UnsafeRawPointer>
    /// [count, blockSize], of which `inner` numbers each count.
    private let turned: UnsafeMutablePointer<Float>
    /// [count]: no bias.
    private let zeros: UnsafePointer<Float>
    /// How many factors were taken, or products made, for each right-hand side.
    private var inner = 0

    /// Calls with memory for them, valid meanwhile.
    static func with(count: Int, order: Int, blockSize: Int, _ body: (inout BlockProducts) -> Void) {
        withUnsafeTemporaryAllocation(of: UnsafeRawPointer.self, capacity: blockSize) { starts in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: count * (blockSize + 1)) { numbers in
                let zeros = numbers.baseAddress! + count * blockSize
                zeros.update(repeating: 0, count: count)
                var products = BlockProducts(
                    count: count, order: order, blockSize: blockSize, starts: starts.baseAddress!,
                    turned: numbers.baseAddress!, zeros: zeros)
                body(&products)
            }
        }
    }

    private init(
        count: Int, order: Int, blockSize: Int, starts: UnsafeMutablePointer<UnsafeRawPointer>,
        turned: UnsafeMutablePointer<Float>, zeros: UnsafePointer<Float>
    ) {
        (self.count, self.order, self.blockSize) = (count, order, blockSize)
        (self.starts, self.turned, self.zeros) = (starts, turned, zeros)
    }

    /// Takes some columns of the right-hand sides as factors for the rows of a block.
    mutating func take(_ x: UnsafePointer<Float>, times factor: Float, columns: Int) {
        inner = columns
        for side in 0..<count {
            let (source, target) = (x + side * order, turned + side * blockSize)
            for index in 0..<columns { target[index] = factor * source[index] }
        }
    }

    /// Sets some columns of the right-hand sides to zero.
    func clear(_ x: UnsafeMutablePointer<Float>, columns: Int) {
        for side in 0..<count { (x + side * order).update(repeating: 0, count: columns) }
    }

    /// Adds the product of the factors taken with as many rows.
    func add<Element: BlockElement>(
        _ rows: UnsafePointer<Element>, apart stride: Int, columns: Int, to target: UnsafeMutablePointer<Float>
    ) {
        find(rows, apart: stride, count: inner)
        kernels.add_products(
            starts, inner, Element.kernelElement, columns, nil, turned, count, blockSize, target, order)
    }

    /// Multiplies some columns of the right-hand sides with rows of as many; for ``give(to:_:)``.
    mutating func multiply<Element: BlockElement>(
        _ x: UnsafePointer<Float>, _ rows: UnsafePointer<Element>, apart stride: Int, rows rowCount: Int, columns: Int
    ) {
        inner = rowCount
        find(rows, apart: stride, count: rowCount)
        kernels.multiply(
            starts, rowCount, Element.kernelElement, columns, nil, x, order, zeros, count, blockSize, turned)
    }

    /// Combines what came of a product with columns of the right-hand sides.
    @inline(__always)
    func give(to x: UnsafeMutablePointer<Float>, _ combine: (Float, Float) -> Float) {
        let inner = inner
        for side in 0..<count {
            let (source, target) = (turned + side * blockSize, x + side * order)
            for index in 0..<inner { target[index] = combine(target[index], source[index]) }
        }
    }

    private func find<Element>(_ rows: UnsafePointer<Element>, apart stride: Int, count: Int) {
        for row in 0..<count { starts[row] = UnsafeRawPointer(rows + row * stride) }
    }
}

/// What rows of a block are made of.
protocol BlockElement {
    /// What kernels call it.
    static var kernelElement: beem_element { get }
}

extension Float: BlockElement {
    static var kernelElement: beem_element { beem_float32 }
}

/// The bits of a BF16.
extension UInt16: BlockElement {
    static var kernelElement: beem_element { beem_bfloat16 }
}
