import Foundation
import Testing

@testable import Backprop

@Suite("Early stopping")
struct EarlyStoppingTests {
    /// Observes values, each with its number as parameters, until the rule ends training.
    private func observe(_ values: [Double], _ rule: inout EarlyStopping<Float>) {
        for value in values where !rule.isFinished {
            rule.observe(value, parameters: [Float(rule.observations)])
        }
    }

    @Test("ends training when patience runs out, and keeps the best parameters")
    func patience() {
        var rule = EarlyStopping<Float>(patience: 3)
        observe([5, 4, 3, 3.5, 3.2, 3.1, 1], &rule)
        #expect(rule.isFinished)
        #expect(rule.observations == 6, "the 1 is not seen")
        #expect(rule.best?.value == 3)
        #expect(rule.best?.parameters == [2])
        #expect(rule.best?.observation == 2)
    }

    @Test("starts patience anew with every improvement")
    func improvements() {
        var rule = EarlyStopping<Float>(patience: 2)
        observe([5, 6, 4, 6, 3, 6, 2], &rule)
        #expect(!rule.isFinished)
        #expect(rule.best?.value == 2)
        #expect(rule.observationsWithoutImprovement == 0)
    }

    @Test("takes an equal value for no improvement, and keeps the first")
    func ties() {
        var rule = EarlyStopping<Float>(patience: 2)
        observe([1, 1, 1], &rule)
        #expect(rule.isFinished)
        #expect(rule.best?.observation == 0)
    }

    @Test("keeps the lowest value even if it is too little lower to go on for")
    func smallImprovements() {
        var rule = EarlyStopping<Float>(patience: 3, minimumImprovement: 0.1)
        observe([1, 0.99, 0.98, 0.97], &rule)
        #expect(rule.isFinished)
        #expect(rule.best?.value == 0.97)
        // Little by little is enough, if it adds up.
        var slow = EarlyStopping<Float>(patience: 3, minimumImprovement: 0.1)
        observe([1, 0.95, 0.89, 0.85, 0.78], &slow)
        #expect(!slow.isFinished)
        #expect(slow.observationsWithoutImprovement == 0)
    }

    @Test("never keeps parameters whose value is not finite")
    func notFinite() {
        var rule = EarlyStopping<Float>(patience: 2)
        observe([.nan, .infinity], &rule)
        #expect(rule.isFinished)
        #expect(rule.best == nil)
        rule = EarlyStopping<Float>(patience: 2)
        observe([.nan, 3, -.infinity, .nan, 1], &rule)
        #expect(rule.isFinished)
        #expect(rule.best?.value == 3)
    }

    @Test("goes on after a restart as if there had been none")
    func checkpoints() throws {
        let values = [5, 4.5, 4.6, .nan, 4.45, 4.2, 4.3, 4.25, 4.21, 4.1]
        for cut in 0...values.count {
            var rule = EarlyStopping<Float>(patience: 3, minimumImprovement: 0.1)
            var whole = rule
            observe(values, &whole)
            observe(Array(values[..<cut]), &rule)
            rule = try JSONDecoder().decode(EarlyStopping<Float>.self, from: JSONEncoder().encode(rule))
            observe(Array(values[cut...]), &rule)
            #expect(rule == whole)
        }
    }

    @Test("keeps the parameters it was given when the caller trains on")
    func copies() {
        var rule = EarlyStopping<Float>(patience: 5)
        var parameters: [Float] = [1, 2]
        rule.observe(1, parameters: parameters)
        parameters[0] = 9
        rule.observe(2, parameters: parameters)
        #expect(rule.best?.parameters == [1, 2])
    }
}
