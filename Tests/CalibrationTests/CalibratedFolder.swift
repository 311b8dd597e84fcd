import Calibration
import ExitHeads
import ExitPolicy
import TestSupport

/// A recipe beside a synthetic cache.
func writeRecipe(
    in folder: TemporaryFolder, cache: SyntheticCache = SyntheticCache(), splits: String? = nil, extra: String = ""
) throws -> String {
    try cache.write(to: folder.file("features.safetensors"))
    return try folder.write(
        """
        name: synthetic
        features: features.safetensors
        splits: \(splits ?? "{ train: 0.4, tune: 0.2, certify: 0.25, test: 0.15 }")
        seed: 3
        output: out
        \(extra)
        """, as: "recipe.yaml")
}

/// Calibrates a recipe and writes heads and policy into the folder.
@discardableResult
func calibrate(_ recipe: String, in folder: TemporaryFolder) throws -> CalibrationResult {
    let experiment = try Experiment(Recipe(reading: recipe))
    let heads = HeadSet(heads: try experiment.train().map(\.head))
    let result = try Calibrator(experiment).calibrate(experiment.outputs(of: experiment.exits(heads)))
    try heads.write(to: folder.file("heads.safetensors"))
    try Policy(result, of: experiment, headsFile: folder.file("heads.safetensors"))
        .write(to: folder.file("policy.json"))
    return result
}
