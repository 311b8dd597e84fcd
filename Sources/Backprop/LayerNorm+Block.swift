import ExitHeads
import Foundation

extension HiddenHead.LayerNorm {
    /// Normalises a row; mean and variance are summed in Double, in eight lanes.
    ///
    /// - Parameters:
    ///   - features: [width]
    ///   - target: [width]
    /// - Complexity: O(width).
    /// - Reference: ``normalized(_:)``.
    static func normalize(
        _ features: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>, width: Int
    ) {
        let whole = width & ~7
        func sum(_ term: (SIMD8<Double>) -> SIMD8<Double>) -> Double {
            var lanes = SIMD8<Double>(repeating: 0)
            for column in stride(from: 0, to: whole, by: 8) {
                let values = UnsafeRawPointer(features + column).loadUnaligned(as: SIMD8<Float>.self)
                lanes += term(SIMD8<Double>(values))
            }
            var rest = 0.0
            for column in whole..<width { rest += term(SIMD8(repeating: Double(features[column])))[0] }
            return lanes.sum() + rest
        }
        let mean = sum { $0 } / Double(width)
        let variance = sum { ($0 - mean) * ($0 - mean) } / Double(width)
        let inverseDeviation = 1 / (variance + epsilon).squareRoot()
        for column in 0..<width { target[column] = Float((Double(features[column]) - mean) * inverseDeviation) }
    }
}
