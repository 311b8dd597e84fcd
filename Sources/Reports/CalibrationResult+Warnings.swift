import Calibration

extension CalibrationResult {
    /// What is to be known of a certificate, or of why there is none, in sentences: for the terminal and for the report.
    ///
    /// - Parameters:
    ///   - usage: who else has used the certify split.
    ///   - planned: over how many uses delta was divided beforehand.
    public func warnings(_ usage: CertifyLog.Usage, planned: Int) -> [String] {
        usage.warnings(planned: planned)
            + partsTooSmall.map { "'\($0)' has too few certify samples for any outcome to be certified" }
            + (certificate == nil ? ["nothing could be certified; the policy never leaves early" + advice] : [])
    }

    /// What to do with a policy that never leaves early, where its checks cost something.
    private var advice: String {
        guard let table = tables[.tune], table.fullCost < table.costs[table.exitCount - 1] else { return "" }
        return ", and its checks cost more than they save: serve the network without exits"
    }
}
