import ExitPolicy
import Foundation
import Testing

@testable import Reports

@Suite("The report of doctor")
struct DoctorReportTests {
    @Test("has a line for each check that ends in ok or in what to do, and counts what is wrong")
    func text() {
        let fine = DoctorReport([.ok("beem", "0.1.0"), .warning("gnuplot", "not found", advice: "install it")])
        #expect(fine.isReady)
        #expect(
            fine.text == """
                  checked  found      verdict
                  -------  ---------  -------------------
                  beem     0.1.0      ok
                  gnuplot  not found  warning: install it

                READY: all that beem needs works; one warning.

                """)
        let broken = DoctorReport(fine.checks + [.error("folder", "read-only", advice: "take another")])
        #expect(!broken.isReady)
        #expect(broken.text.contains("error: take another\n\nNOT READY: one thing does not work; see above.\n"))
        #expect(DoctorReport([.ok("beem", "0.1.0")]).text.hasSuffix("READY: all that beem needs works.\n"))
    }

    @Test("in JSON has the same checks")
    func json() throws {
        let data = try JSONFile.encode(DoctorReport([.warning("gnuplot", "not found", advice: "install it")]))
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(object["ready"] as? Bool == true)
        #expect(
            object["checks"] as? [[String: String]]
                == [["name": "gnuplot", "found": "not found", "state": "warning", "advice": "install it"]])
    }
}
