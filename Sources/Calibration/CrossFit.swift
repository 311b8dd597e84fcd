import ExitRules
import Statistics

/// Divides tune into parts: what is found on the others is counted on the one that played no part in it.
enum CrossFit {
    /// How many parts.
    static let folds = 5

    /// [folds]: the samples of the others, and of the part itself; by the seed, groups whole.
    static func divide(_ tune: ExitOutputs, seed: UInt64) -> [(rest: ExitOutputs, held: ExitOutputs)] {
        let fold = (0..<tune.sampleCount).map { sample in
            let identity = tune.groups.map { UInt64(bitPattern: Int64($0[sample])) } ?? UInt64(sample)
            return Int(SplitMix64.hash(seed: seed, id: identity) % UInt64(folds))
        }
        return (0..<folds).map { held in
            (
                rest: tune.selecting(fold.indices.filter { fold[$0] != held }),
                held: tune.selecting(fold.indices.filter { fold[$0] == held })
            )
        }
    }
}
