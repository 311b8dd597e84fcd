/// What `beem doctor` tells: one line for each thing that beem needs or uses, and whether all is well.
public struct DoctorReport: Encodable, Equatable, Sendable {
    /// How a check came out.
    public enum State: String, Encodable, Sendable {
        /// As it should be.
        case ok
        /// Something could be better, and beem works without it.
        case warning
        /// Something that is needed does not work.
        case error
    }

    /// One thing that was looked at.
    public struct Check: Encodable, Equatable, Sendable {
        /// What it is called.
        public var name: String
        /// What was found.
        public var found: String
        /// Whether that is right.
        public var state: State
        /// What to do about it; nil where nothing is to be done.
        public var advice: String?

        /// A check that found what it should.
        public static func ok(_ name: String, _ found: String) -> Check {
            Check(name: name, found: found, state: .ok, advice: nil)
        }

        /// A check that found something to mend.
        public static func warning(_ name: String, _ found: String, advice: String) -> Check {
            Check(name: name, found: found, state: .warning, advice: advice)
        }

        /// A check that found something beem cannot work with.
        public static func error(_ name: String, _ found: String, advice: String) -> Check {
            Check(name: name, found: found, state: .error, advice: advice)
        }
    }

    /// Whether everything that is needed works.
    public let isReady: Bool
    /// In the order in which they are told.
    public let checks: [Check]

    private enum CodingKeys: String, CodingKey {
        case isReady = "ready"
        case checks
    }

    /// Collects checks.
    public init(_ checks: [Check]) {
        self.checks = checks
        isReady = !checks.contains { $0.state == .error }
    }

    /// A line for each check, which ends in `ok` or in what to do, and a sentence.
    public var text: String {
        var table = TextTable([("checked", .left), ("found", .left), ("verdict", .left)])
        for check in checks {
            table.add([check.name, check.found, check.state.rawValue + (check.advice.map { ": \($0)" } ?? "")])
        }
        return table.text + "\n" + sentence + "\n"
    }

    private var sentence: String {
        let warnings = checks.count { $0.state == .warning }
        let errors = checks.count { $0.state == .error }
        if errors > 0 {
            return "NOT READY: \(errors == 1 ? "one thing does" : "\(errors) things do") not work; see above."
        }
        let ending = warnings == 0 ? "" : warnings == 1 ? "; one warning" : "; \(warnings) warnings"
        return "READY: all that beem needs works\(ending)."
    }
}
