/// What the blocks of a chunk add up to.
struct PartialSums: Sendable {
    /// [heads, 2]: loss and weight.
    private(set) var losses: [Double]
    /// [columns]: the gradient of the biases.
    private var biases: [Double]
    /// ``numbers`` but for losses and biases; empty before the first block.
    private var sums: [Double] = []
    private let width: Int

    /// Sums of no blocks.
    init(heads: Int, columns: Int, width: Int) {
        losses = Array(repeating: 0, count: 2 * heads)
        biases = Array(repeating: 0, count: columns)
        self.width = width
    }

    /// [heads, 2]: loss and weight; then [columns, width + 1]: the gradient.
    consuming func numbers() -> [Double] {
        precondition(!sums.isEmpty, "a block at least")
        var numbers = sums
        sums = []
        for (index, loss) in losses.enumerated() { numbers[index] = loss }
        for (column, bias) in biases.enumerated() { numbers[losses.count + column * (width + 1) + width] = bias }
        return numbers
    }

    /// Adds a tile's loss.
    mutating func add(_ loss: LossSum, ofHead head: Int) {
        losses[2 * head] += loss.loss
        losses[2 * head + 1] += loss.weight
    }

    /// Adds a tile's gradient of the biases of a head, all of which have as many.
    mutating func addBiases(_ own: UnsafeBufferPointer<Double>, ofHead head: Int) {
        for (index, bias) in own.enumerated() { biases[head * own.count + index] += bias }
    }

    /// Adds a tile's gradient of the biases: the columns' sums of `scratch.logits` [rows, columns].
    mutating func addBiases(_ scratch: BlockScratch, rows: Int) {
        let columns = biases.count
        biases.withUnsafeMutableBufferPointer { biases in
            // Row by row, so that one sum need not wait for the other.
            for row in 0..<rows {
                for column in 0..<columns { biases[column] += Double(scratch.logits[row * columns + column]) }
            }
        }
    }

    /// Adds a block's gradient of the weights, `scratch.gradient`.
    mutating func addWeights(_ scratch: BlockScratch) {
        let (start, columns, width) = (losses.count, biases.count, width)
        let size = start + columns * (width + 1)
        guard !sums.isEmpty else {
            sums = [Double](unsafeUninitializedCapacity: size) { sums, count in
                let own = sums.baseAddress!
                own.initialize(repeating: 0, count: start)
                for column in 0..<columns {
                    let target = own + start + column * (width + 1)
                    let source = scratch.gradient + column * width
                    for index in 0..<width { target[index] = Double(source[index]) }
                    target[width] = 0
                }
                count = size
            }
            return
        }
        sums.withUnsafeMutableBufferPointer { sums in
            for column in 0..<columns {
                accumulate(
                    scratch.gradient + column * width, count: width,
                    into: sums.baseAddress! + start + column * (width + 1))
            }
        }
    }
}
