import ExitHeads
import ExitPolicy
import FeatureCache
import Safetensors
import TestSupport
import Testing

@testable import Calibration

@Suite("Heads for the backbone's own features")
struct FullWidthHeadsTests {
    /// A folder with a full cache, a compressed one, and a policy calibrated on the latter.
    private func calibrated() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try SyntheticCache().write(to: folder.file("plain.safetensors"))
        let plain = try FeatureCache(opening: folder.file("plain.safetensors"))
        let plan = SplitPlan.fractions(train: 0.4, tune: 0.2, certify: 0.25, test: 0.15)
        try plain.write(to: folder.file("full.safetensors"), splits: plan.draw(from: plain, seed: 1))
        try FeatureCompressor(components: 4).compress(
            FeatureCache(opening: folder.file("full.safetensors")), to: folder.file("small.safetensors"))
        try folder.write(
            "name: small\nfeatures: small.safetensors\nsplits: stored\noutput: out\n", as: "recipe.yaml")
        try calibrate(folder.file("recipe.yaml"), in: folder)
        return folder
    }

    @Test("say on full features what the trained heads say on compressed ones, but for close calls")
    func sameLabels() throws {
        let folder = try calibrated()
        let applied = try AppliedPolicy(
            policyFile: folder.file("policy.json"), data: folder.file("small.safetensors"))
        let full = try applied.fullWidthHeads()
        #expect(full.heads.allSatisfy { $0.width == 6 })
        let cache = try FeatureCache(opening: folder.file("full.safetensors"))
        let rows = Array(0..<cache.sampleCount)
        let expected = try applied.outputs(rows: rows)
        let found = try full.outputs(on: cache, rows: rows, measure: .maxProbability)
        for exit in 0..<cache.exitCount {
            // Compressed features are rounded to F16, one part in two thousand of a component.
            let same = zip(found.labels[exit], expected.labels[exit]).count { $0 == $1 }
            #expect(same >= rows.count - 3)
            for (left, right) in zip(found.confidences![exit], expected.confidences![exit]) {
                #expect(abs(left - right) < 0.005)
            }
        }
    }

    @Test("are refused where the cache stores no projection")
    func notCompressed() throws {
        let folder = try TemporaryFolder()
        try calibrate(writeRecipe(in: folder), in: folder)
        let applied = try AppliedPolicy(
            policyFile: folder.file("policy.json"), data: folder.file("features.safetensors"))
        let error = try #require(throws: InputError.self) { try applied.fullWidthHeads() }
        #expect(error.item == "projection.0")
    }
}
