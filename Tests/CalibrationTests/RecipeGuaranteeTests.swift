import ExitPolicy
import ExitRules
import RiskControl
import Safetensors
import Testing

@testable import Calibration

@Suite("The guarantee of a recipe")
struct RecipeGuaranteeTests {
    private func parse(_ line: String) throws -> Recipe {
        try Recipe(parsing: RecipeTests.minimal + "\n" + line + "\n", file: "recipe.yaml")
    }

    private func guarantee(_ text: String) throws -> Recipe.Guarantee { try parse("guarantee: { \(text) }").guarantee }

    @Test("is, where nothing is said, that of the design: gap 0 against the final layer, errors, one use, no parts")
    func defaults() throws {
        let guarantee = try guarantee("allowedGap: 0")
        #expect(guarantee.reference == .final && guarantee.loss == .error && guarantee.parts == nil)
        #expect(guarantee.maximumGroupSize == nil && guarantee.uses == 1 && guarantee.order == .smoothedZ)
        #expect(guarantee.level == 0.05)
        #expect(try parse("seed: 1").guarantee == guarantee && parse("seed: 1").minimumSpeedUp == nil)
    }

    @Test(
        "names its reference: the final layer, the best exit on tune, or an exit by number",
        arguments: [("final", Recipe.ReferenceChoice.final), ("best", .best), ("0", .exit(0)), ("7", .exit(7))])
    func reference(text: String, expected: Recipe.ReferenceChoice) throws {
        #expect(try guarantee("reference: \(text)").reference == expected)
    }

    @Test(
        "names parts of the population and what is wanted of them",
        arguments: [
            ("classes: all", Certificate.Parts.Partition.classes, Certificate.Parts.Demand.all),
            ("classes: each", .classes, .each), ("subgroups: all", .subgroups, .all),
            ("subgroups: each", .subgroups, .each),
        ])
    func parts(text: String, partition: Certificate.Parts.Partition, demand: Certificate.Parts.Demand) throws {
        #expect(try guarantee(text).parts == Recipe.PartsChoice(partition: partition, demand: demand))
    }

    @Test("reads every order by its name", arguments: CandidateOrder.allCases)
    func order(order: CandidateOrder) throws {
        #expect(try guarantee("order: \(order.rawValue)").order == order)
    }

    @Test("reads loss, group size, uses and the speed-up of the dual problem")
    func others() throws {
        let recipe = try parse(
            "guarantee: { loss: disagreement, allowedGap: 0.02, maxGroupSize: 12, uses: 4, failureProbability: 0.1 }")
        #expect(recipe.guarantee.loss == .disagreement)
        #expect(recipe.guarantee.maximumGroupSize == 12)
        #expect(recipe.guarantee.uses == 4)
        #expect(recipe.guarantee.level == 0.025)
        let dual = try parse("search: { minimumSpeedUp: 1.5 }")
        #expect(dual.minimumSpeedUp == 1.5 && dual.search == .single)
    }

    @Test(
        "with a wrong value says where, what stands there and what may",
        arguments: [
            ("reference: last", "guarantee.reference", "\"last\"", "final, best"),
            ("reference: -1", "guarantee.reference", "\"-1\"", "number of an exit"),
            ("reference: 1.5", "guarantee.reference", "\"1.5\"", "final, best"),
            ("reference: [1]", "guarantee.reference", "a list", "final, best"),
            ("loss: errors", "guarantee.loss", "\"errors\"", "error, disagreement"),
            ("classes: both", "guarantee.classes", "\"both\"", "all, each"),
            ("subgroups: 3", "guarantee.subgroups", "\"3\"", "all, each"),
            ("maxGroupSize: 0", "guarantee.maxGroupSize", "\"0\"", "at least 1"),
            ("maxGroupSize: 2.5", "guarantee.maxGroupSize", "\"2.5\"", "at least 1"),
            ("uses: 0", "guarantee.uses", "\"0\"", "at least 1"),
            ("uses: many", "guarantee.uses", "\"many\"", "at least 1"),
            ("order: tune_z", "guarantee.order", "\"tune_z\"", "tune-p, tune-z, smoothed-z, fallback, single-pick"),
        ])
    func wrongValue(text: String, item: String, seen: String, expected: String) throws {
        let error = try #require(throws: InputError.self) { try guarantee(text) }
        #expect(error.file == "recipe.yaml")
        #expect(error.item?.hasPrefix(item + " (line 5, column") == true, "\(error)")
        #expect(error.seen == seen)
        #expect(error.expected.contains(expected), "\(error)")
    }

    @Test("proposes the nearest order for a misspelt one")
    func misspelt() throws {
        #expect(
            try #require(throws: InputError.self) { try guarantee("order: tune_z") }.advice?.contains("tune-z") == true)
    }

    @Test("with a speed-up below 1 is refused", arguments: ["0.9", "fast", ".nan"])
    func speedUp(text: String) throws {
        let error = try #require(throws: InputError.self) { try parse("search: { minimumSpeedUp: \(text) }") }
        #expect(error.item?.hasPrefix("search.minimumSpeedUp (line 5") == true)
        #expect(error.expected.contains("at least 1"))
    }

    @Test("speaks of classes or of subgroups, not of both, and says where both stand")
    func bothParts() throws {
        let error = try #require(throws: InputError.self) { try guarantee("classes: all, subgroups: each") }
        #expect(error.item?.hasPrefix("guarantee.subgroups (line 5") == true)
        #expect(error.advice?.contains("guarantee.classes (line 5") == true)
    }

    @Test("asks a positive rate of disagreement, and no classes beside it")
    func disagreement() throws {
        let zero = try #require(throws: InputError.self) { try guarantee("loss: disagreement, allowedGap: 0") }
        #expect(zero.item?.hasPrefix("guarantee.allowedGap") == true)
        #expect(zero.expected.contains("positive"))
        let missing = try #require(throws: InputError.self) { try guarantee("loss: disagreement") }
        #expect(missing.item?.hasPrefix("guarantee.allowedGap") == true)
        let classes = try #require(throws: InputError.self) {
            try guarantee("loss: disagreement, allowedGap: 0.01, classes: each")
        }
        #expect(classes.item?.hasPrefix("guarantee.classes (line 5") == true)
        #expect(try guarantee("loss: disagreement, allowedGap: 0.01, subgroups: each").parts?.demand == .each)
    }

    @Test(
        "has neither parts nor a gap beside a speed-up that is asked for",
        arguments: ["classes: all", "subgroups: each", "allowedGap: 0.01"])
    func besideSpeedUp(text: String) throws {
        let error = try #require(throws: InputError.self) {
            try parse("guarantee: { \(text) }\nsearch: { minimumSpeedUp: 2 }")
        }
        let key = try #require(text.split(separator: ":").first)
        #expect(error.item?.hasPrefix("guarantee.\(key) (line 5") == true, "\(error)")
        #expect(error.seen.contains("minimumSpeedUp"))
    }
}
