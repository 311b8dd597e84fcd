import Foundation
import TestSupport
import Testing

@testable import beem

@Suite("How text looks")
struct TerminalStyleTests {
    private let colour = TerminalStyle(isTerminal: true, environment: ["TERM": "xterm"])

    @Test("has colour only on a terminal that can show it, unless NO_COLOR is set to something")
    func choice() {
        #expect(colour.hasColour && colour.canRedraw)
        let empty = TerminalStyle(isTerminal: true, environment: ["TERM": "xterm", "NO_COLOR": ""])
        #expect(empty.hasColour)
        let without = TerminalStyle(isTerminal: true, environment: ["TERM": "xterm", "NO_COLOR": "0"])
        #expect(!without.hasColour && without.canRedraw, "NO_COLOR says nothing of progress")
        for environment in [["TERM": "dumb"], [:]] {
            let dumb = TerminalStyle(isTerminal: true, environment: environment)
            #expect(!dumb.hasColour && !dumb.canRedraw)
        }
        let file = TerminalStyle(isTerminal: false, environment: ["TERM": "xterm"])
        #expect(!file.hasColour && !file.canRedraw)
        let text = "CERTIFIED: yes\n  a  b\n  -  -\n  1  2\nNext: beem run\n"
        #expect(file.styled(text) == text)
    }

    @Test(
        "lets verdicts, warnings and errors stand out at the beginning of a line",
        arguments: [
            ("CERTIFIED:", "1;32"), ("CONFIRMED:", "1;32"), ("VALID:", "1;32"), ("NOT CERTIFIED:", "1;33"),
            ("UNDECIDED:", "1;33"), ("CONTRADICTED:", "1;31"), ("NOT VALID:", "1;31"), ("beem: error:", "1;31"),
            ("beem: warning:", "1;33"),
        ])
    func beginnings(beginning: String, code: String) {
        #expect(
            colour.styled("\(beginning) so it is\nrest\n") == "\u{1B}[\(code)m\(beginning)\u{1B}[0m so it is\nrest\n")
        let inside = "it is \(beginning) or not\n  \(beginning)\n"
        #expect(colour.styled(inside) == inside)
    }

    @Test("lets the titles of a table and the next command stand out, and not the table's rows")
    func tables() {
        let text = "Title\n  exit  p\n  ----  -\n  -     -\n  --    -\n\nNext: beem run x\n"
        #expect(
            colour.styled(text)
                == "Title\n\u{1B}[1m  exit  p\u{1B}[0m\n  ----  -\n  -     -\n  --    -\n\n\u{1B}[1mNext: beem run x\u{1B}[0m\n"
        )
    }

    @Test("loses nothing but its colour when the colour is taken away")
    func reversible() {
        let text = "A\n\n  x\n  -\n  1\n\n  y\n  -\nCERTIFIED: a\n\nALARM since release, at sample 3.\n  \n"
        let plain = colour.styled(text).replacing(/\x1B\[[0-9;]*m/, with: "")
        #expect(plain == text)
    }
}

@Suite("The command on a terminal")
struct TerminalTests {
    /// What a run wrote to a terminal, with the terminal's own line ends, and to a pipe.
    private struct Session: Decodable {
        var code: Int32
        var terminal: String
        var pipe: String
    }

    static let hasPython = (try? Command("/usr/bin/env", ["python3", "-c", "import pty"]))?.exitCode == 0

    private func session(
        _ streams: String, _ arguments: [String], environment: [String: String] = [:]
    ) throws -> Session {
        let script = Repository.path("Tests/beemTests/Resources/terminal.py")
        let command = try Command(
            "/usr/bin/env", ["python3", script, streams, Command.beemPath] + arguments,
            environment: ["TERM": "xterm", "NO_COLOR": ""].merging(environment) { $1 })
        #expect(command.exitCode == 0, "\(command.errors)")
        return try JSONDecoder().decode(Session.self, from: Data(command.output.utf8))
    }

    private let plan = ["plan", "--harmful", "0.02", "--helpful", "0.03"]
    private let escape = "\u{1B}"

    @Test("colours what goes to the terminal, and only that", .enabled(if: hasPython))
    func streams() throws {
        let elsewhere = try Command(Command.beemPath, plan)
        #expect(!elsewhere.output.contains(escape) && !elsewhere.errors.contains(escape))
        #expect(elsewhere.errors.hasPrefix("Next: beem plan "))

        let output = try session("output", plan)
        #expect(output.terminal.contains("\(escape)[1m  allowed gap (points)"))
        #expect(output.pipe == elsewhere.errors)
        let plain = output.terminal.replacing(/\x1B\[[0-9;]*m/, with: "").replacing("\r\n", with: "\n")
        #expect(plain == elsewhere.output)

        let errors = try session("errors", plan)
        #expect(errors.terminal.hasPrefix("\(escape)[1mNext: beem plan "))
        #expect(errors.pipe == elsewhere.output)
    }

    @Test("has no colour with NO_COLOR or on a dumb terminal", .enabled(if: hasPython))
    func without() throws {
        for environment in [["NO_COLOR": "1"], ["TERM": "dumb"]] {
            #expect(try !session("both", plan, environment: environment).terminal.contains(escape))
        }
    }

    @Test("shows errors in red, and JSON as it is", .enabled(if: hasPython))
    func errorsAndJSON() throws {
        let error = try session("both", ["run", "none.yaml"])
        #expect(error.code == 2)
        #expect(error.terminal.hasPrefix("\(escape)[1;31mbeem: error:\(escape)[0m none.yaml"))
        #expect(try !session("both", plan + ["--json"]).terminal.contains(escape))
    }

    @Test("shows progress with a rate and the time left, and takes it away", .enabled(if: hasPython))
    func progress() throws {
        let place = try CommandFolder()
        #expect(try Command.beem("train", place.recipe, "--quiet").exitCode == 0)
        let arguments = ["study", place.recipe, "--repeats", "12", "--only", "static"]
        let shown = try session("errors", arguments, environment: ["NO_COLOR": "1"])
        #expect(shown.code == 0)
        #expect(shown.terminal.contains("\rDrawing ["))
        #expect(shown.terminal.contains(/\/12, [0-9.]+\/s, [0-9]+ s left/))
        let afterLast = try #require(shown.terminal.split(separator: "\r\(escape)[K").last)
        #expect(afterLast.hasPrefix("Next: beem compare "))
        for option in ["--quiet", "--json"] {
            #expect(try session("errors", arguments + [option]).terminal.isEmpty)
        }
        #expect(try !session("errors", arguments, environment: ["TERM": "dumb"]).terminal.contains("Drawing"))
    }
}
