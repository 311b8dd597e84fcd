import ExitHeads
import ExitPolicy
import ExitRules
import Foundation
import Safetensors
import TestSupport
import Testing

/// All that an app needs to serve a policy: the heads and the policy that `beem run` wrote, and a network that gives the
/// features of one exit after the other.
struct ReviewClassifier {
    let policy: Policy
    let heads: [ExitHead]

    init(folder: String) throws {
        policy = try Policy(reading: "\(folder)/policy.json")
        heads = try HeadSet(reading: "\(folder)/heads.safetensors").heads
    }

    /// The class of a sample, and how many exits it took.
    ///
    /// - Parameter features: runs the network up to an exit; called for no exit behind the one that is taken.
    func classify(features: (_ exit: Int) -> [Float]) -> (name: String, exit: Int) {
        var session = ExitSession(policy)
        for (exit, head) in heads.enumerated() {
            let logits = head.logits(features(exit))
            let prediction = logits.withUnsafeBufferPointer { Prediction(logits: $0) }
            if case .stop(let decision) = session.observe(prediction) {
                return (policy.classes[Int(decision.label)], decision.exit)
            }
        }
        preconditionFailure("at the last exit every sample leaves")
    }
}

@Suite("An app of thirty lines")
struct AppExampleTests {
    @Test("serves the shipped policy: the exits and labels of `beem apply`, and no layer run in vain")
    func serves() throws {
        let app = try ReviewClassifier(folder: Repository.path("checkpoints/movie-reviews"))
        let cache = Repository.path("recipes/movie-reviews/features.safetensors")
        let apply = try Command.beem(
            "apply", Repository.path("checkpoints/movie-reviews/policy.json"), cache, "--split", "train")
        let lines = apply.output.split(separator: "\n").dropFirst().prefix(500)
        let store = try SafetensorsStore(opening: cache)
        let features = try (0..<app.heads.count).map { try store.tensor("features.\($0)") }
        var different = 0
        for line in lines {
            let fields = line.split(separator: ",").compactMap { Int($0) }
            let sample = fields[0]
            var asked: [Int] = []
            let answer = app.classify { exit in
                asked.append(exit)
                let width = app.heads[exit].width
                var row = [Float](repeating: 0, count: width)
                features[exit].copyFloats(sample * width..<(sample + 1) * width, into: &row)
                return row
            }
            #expect(asked == Array(0...answer.exit))
            if answer.exit != fields[1] || answer.name != app.policy.classes[fields[2]] { different += 1 }
        }
        #expect(lines.count == 500)
        // The heads are summed in another order than by BLAS: a close call may fall the other way.
        #expect(different <= 1)
    }
}
