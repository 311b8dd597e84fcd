import Calibration
import ExitHeads
import ExitPolicy
import Foundation
import TestSupport
import Testing

@Suite("The policies that are shipped")
struct ShippedPolicyTests {
    static let recipes = ["movie-reviews", "trec-questions"]

    @Test(
        "decide as a plain NumPy reference does, but for close calls", .enabled(if: Command.pythonWithNumPy != nil),
        arguments: recipes)
    func agreesWithNumPy(recipe: String) throws {
        struct Counts: Decodable {
            var samples: Int
            var close: Int
            var different: Int
        }
        let folder = try TemporaryFolder()
        let policy = Repository.path("checkpoints/\(recipe)/policy.json")
        let features = Repository.path("recipes/\(recipe)/features.safetensors")
        let apply = try Command.beem("apply", policy, features, "--output", folder.file("decisions.csv"))
        #expect(apply.exitCode == 0, "\(apply.errors)")
        let reference = try Command(
            #require(Command.pythonWithNumPy),
            [
                Repository.path("Tests/beemTests/Resources/reference_decisions.py"), policy, features,
                folder.file("decisions.csv"),
            ])
        #expect(reference.exitCode == 0, "\(reference.errors)")
        let counts = try JSONDecoder().decode(Counts.self, from: Data(reference.output.utf8))
        #expect(counts.samples > 5000)
        #expect(counts.different == 0)
        // A close call is a matter of chance; more than one in a thousand would be a matter of precision.
        #expect(counts.close * 1000 <= counts.samples)
    }

    @Test("are made again by their recipe: objective, decisions, certificate and speed-up")
    func remade() throws {
        let folder = try TemporaryFolder()
        var recipe = try Recipe(reading: Repository.path("recipes/movie-reviews/recipe.yaml"))
        recipe.output = folder.path
        let experiment = try Experiment(recipe)
        let trained = try experiment.train()
        let heads = HeadSet(heads: trained.map(\.head))
        let result = try Calibrator(experiment).calibrate(experiment.outputs(of: experiment.exits(heads)))
        try heads.write(to: folder.file("heads.safetensors"))
        let remade = try Policy(result, of: experiment, headsFile: folder.file("heads.safetensors"))
        try remade.write(to: folder.file("policy.json"))

        let shippedHeads = try HeadSet(reading: Repository.path("checkpoints/movie-reviews/heads.safetensors"))
        func shippedLinear(_ exit: Int) throws -> LinearHead {
            guard case .linear(let head) = shippedHeads.heads[exit] else { throw CocoaError(.featureUnsupported) }
            return head
        }
        for (exit, head) in trained.enumerated() {
            let shipped = try experiment.objective(of: try shippedLinear(exit), exit: exit, l2: head.choice.l2)
            #expect(abs(shipped - head.choice.objective) <= 1e-5 * head.choice.objective, "exit \(exit)")
        }

        let features = Repository.path("recipes/movie-reviews/features.safetensors")
        let old = try AppliedPolicy(
            policyFile: Repository.path("checkpoints/movie-reviews/policy.json"), data: features)
        let new = try AppliedPolicy(policyFile: folder.file("policy.json"), data: features)
        let rows = Array(0..<experiment.samples.sampleCount)
        let oldDecisions = old.decisions(try old.outputs(rows: rows))
        let newDecisions = new.decisions(try new.outputs(rows: rows))
        let same = zip(oldDecisions, newDecisions).count { $0.exit == $1.exit && $0.label == $1.label }
        #expect(Double(same) >= 0.999 * Double(rows.count))

        let oldCertificate = try #require(old.policy.certificate)
        let newCertificate = try #require(remade.certificate)
        #expect(newCertificate.kind == oldCertificate.kind)
        #expect(abs(newCertificate.speedUp - oldCertificate.speedUp) <= 0.02 * oldCertificate.speedUp)
    }
}
