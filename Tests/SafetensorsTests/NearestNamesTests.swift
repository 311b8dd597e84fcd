import Testing

@testable import Safetensors

@Suite("Nearest names")
struct NearestNamesTests {
    @Test(
        "finds what was meant",
        arguments: [
            ("trian", ["train", "tune", "test"], ["train"]), ("featurs.0", ["features.0", "labels"], ["features.0"]),
            ("l2", ["l1", "l3", "lr"], ["l1", "l3", "lr"]), ("optimiser", ["optimizer", "output"], ["optimizer"]),
            ("xyz", ["train", "tune"], []), ("", ["a", "bc"], ["a"]), ("seed", [], []),
        ])
    func finds(name: String, known: [String], expected: [String]) {
        #expect(nearestNames(to: name, among: known) == expected)
    }

    @Test("puts the nearest first and stops at the limit")
    func order() {
        #expect(
            nearestNames(to: "weights", among: ["wights", "weight", "weigths", "heights", "eights"], limit: 2).count
                == 2)
        #expect(nearestNames(to: "labels", among: ["lables!", "label", "labels"]).first == "labels")
    }
}
