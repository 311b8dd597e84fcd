import Statistics
import Testing

@testable import ExitRules

@Suite("Exits that predict numbers")
struct PredictedNumbersTests {
    private func random(exits: Int, samples: Int, seed: UInt64) -> PredictedNumbers {
        var generator = SplitMix64(seed: seed)
        // Few different numbers, so that differences meet the tolerance exactly at times.
        func number() -> Float { Float(Int.random(in: 0...12, using: &generator)) / 4 }
        return PredictedNumbers(
            values: (0..<exits).map { _ in (0..<samples).map { _ in number() } },
            targets: (0..<samples).map { _ in number() }, tolerance: 0.5)
    }

    @Test(
        "have equal labels at neighbouring exits where, and only where, their numbers differ by at most the tolerance")
    func neighbours() {
        let numbers = random(exits: 6, samples: 500, seed: 3)
        let outputs = ExitOutputs(numbers: numbers)
        for exit in 1..<6 {
            for sample in 0..<500 {
                let difference = abs(numbers.values[exit][sample] - numbers.values[exit - 1][sample])
                #expect((outputs.labels[exit][sample] == outputs.labels[exit - 1][sample]) == (difference <= 0.5))
            }
        }
    }

    @Test("are right within the tolerance of the target, and say the same within it of each other")
    func rightAndSame() {
        let numbers = random(exits: 4, samples: 500, seed: 4)
        let outputs = ExitOutputs(numbers: numbers)
        for exit in 0..<4 {
            let isRight = (0..<500).map { abs(numbers.values[exit][$0] - numbers.targets[$0]) <= 0.5 }
            #expect(outputs.isCorrect(exit: exit) == isRight)
            #expect(outputs.errorCounts[exit] == isRight.count { !$0 })
            #expect(
                outputs.isSame(exit: exit, as: 3)
                    == (0..<500).map {
                        abs(numbers.values[exit][$0] - numbers.values[3][$0]) <= 0.5
                    })
        }
        // A chain of agreements may lead away from where it began.
        let chain = ExitOutputs(
            numbers: PredictedNumbers(values: [[0], [0.5], [1]], targets: [0], tolerance: 0.5))
        #expect(chain.labels == [[0], [0], [0]])
        #expect(chain.isSame(exit: 0, as: 2) == [false])
        #expect(chain.isCorrect(exit: 2) == [false])
    }

    @Test("that are not finite agree with none and are never right")
    func notFinite() {
        let outputs = ExitOutputs(
            numbers: PredictedNumbers(
                values: [[.nan, .infinity], [.nan, .infinity]], targets: [0, .infinity], tolerance: 1))
        #expect(outputs.labels[1] == [1, 1])
        #expect(outputs.errorCounts == [2, 2])
    }

    @Test("are counted by patience as a plain loop counts agreements")
    func patience() {
        let numbers = random(exits: 5, samples: 300, seed: 5)
        let table = ScoreTable(outputs: ExitOutputs(numbers: numbers), rule: PatienceRule(), costs: [1, 2, 3, 4, 5])
        for sample in 0..<300 {
            var agreements = 0.0
            for exit in 0..<4 {
                if exit > 0 {
                    let difference = abs(numbers.values[exit][sample] - numbers.values[exit - 1][sample])
                    agreements = difference <= 0.5 ? agreements + 1 : 0
                }
                #expect(table.scores[exit][sample] == agreements)
            }
        }
    }

    @Test("keep their numbers when samples are selected")
    func selecting() {
        let outputs = ExitOutputs(numbers: random(exits: 3, samples: 40, seed: 6))
        let rows = [7, 7, 0, 39]
        let selection = outputs.selecting(rows)
        #expect(selection.isCorrect(exit: 1) == rows.map { outputs.isCorrect(exit: 1)[$0] })
        #expect(selection.labels[2] == rows.map { outputs.labels[2][$0] })
    }
}
