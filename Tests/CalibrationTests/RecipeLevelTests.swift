import ExitHeads
import ExitRules
import TestSupport
import Testing

@testable import Calibration

/// The level of the whole procedure on real features: weights, candidates, order, certificate. `make levels` does the
/// same with 10,000 draws.
@Suite("The level of the whole procedure on the recipes")
struct RecipeLevelTests {
    static let methods = ["certified, smoothed-z", "certified, smoothed-z, betting", "per exit, certified, smoothed-z"]

    @Test(
        "is at most delta on bootstrap draws, which have all samples outside train as their truth",
        arguments: ["movie-reviews", "trec-questions"])
    func bootstrap(name: String) throws {
        let result = try study(name, repeats: 500, source: .bootstrap, labels: .given)
        for row in result.methods {
            let rate = try #require(row.errorRate)
            #expect(rate <= result.largestErrorRate, "\(row.method): \(rate)")
            #expect(row.uncertified < 0.3, "a procedure that certifies nothing would pass above: \(row.method)")
        }
    }

    @Test(
        "is at most delta on random labels, on which nothing is better than the final layer",
        arguments: ["movie-reviews", "trec-questions"])
    func randomLabels(name: String) throws {
        let result = try study(name, repeats: 500, source: .resplit, labels: .random)
        for row in result.methods {
            let rate = try #require(row.errorRate)
            #expect(rate <= result.largestErrorRate, "\(row.method): \(rate)")
        }
    }

    private func study(
        _ name: String, repeats: Int, source: StudyDraws.Source, labels: StudyDraws.Labels
    ) throws -> StudyResult {
        let experiment = try Experiment(Recipe(reading: Repository.path("recipes/\(name)/recipe.yaml")))
        let heads = try HeadSet(reading: Repository.path("checkpoints/\(name)/heads.safetensors"))
        let methods = StudyMethod.all(for: experiment, measures: Set(ConfidenceMeasure.allCases)).filter { method in
            Self.methods.contains { method.name == "BEEM-A, \($0)" }
        }
        try #require(methods.count == Self.methods.count)
        return try Study(
            experiment, from: experiment.exits(heads), repeats: repeats, source: source, labels: labels,
            methods: methods
        ).run()
    }
}
