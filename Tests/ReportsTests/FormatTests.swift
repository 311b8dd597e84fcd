import Testing

@testable import Reports

@Suite("What is printed")
struct FormatTests {
    @Test("aligns texts to the left and numbers to the right")
    func table() {
        var table = TextTable([("name", .left), ("value", .right)])
        table.add(["a", "1"])
        table.add(["longer", "1,234,567"])
        #expect(
            table.text == """
                  name        value
                  ------  ---------
                  a               1
                  longer  1,234,567

                """)
    }

    @Test("writes numbers as people do")
    func numbers() {
        #expect(Format.percent(0.13266) == "13.27 %")
        #expect(Format.points(-0.0054) == "-0.54")
        #expect(Format.points(0.0054) == "+0.54")
        #expect(Format.speedUp(2.175) == "2.17x" || Format.speedUp(2.175) == "2.18x")
        #expect(Format.count(999) == "999")
        #expect(Format.count(10_603) == "10,603")
        #expect(Format.count(-1_234_567) == "-1,234,567")
        #expect(Format.short(0.0001) == "0.0001")
        #expect(Format.short(12) == "12")
        #expect(Format.probability(0) == "0")
        #expect(Format.probability(0.0481) == "0.048")
        #expect(Format.probability(3.14e-8) == "3.1e-08")
    }
}
