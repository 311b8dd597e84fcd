import Foundation

/// What a progress bar shows: a function of how far the work is and how long it took.
struct ProgressText: Equatable, Sendable {
    /// What is being done.
    let title: String
    /// How many columns the terminal has; a longer line would wrap, and could not be drawn over.
    var columns = 80

    /// For work in equal steps: `Drawing [####....] 120/200, 14.2/s, 6 s left`.
    ///
    /// - Parameter elapsed: seconds since the start. Before anything is known, neither rate nor time left is shown.
    func line(done: Int, total: Int, elapsed: Double) -> String {
        var what = "\(done)/\(total)"
        if done > 0, elapsed > 0 { what += ", \(Self.rate(Double(done) / elapsed))" }
        return line(fraction: Double(done) / Double(max(total, 1)), what: what, elapsed: elapsed)
    }

    /// For work whose steps take different times: `Training heads [####....] 3/12, loss 0.3312, 6 s left`.
    ///
    /// - Parameters:
    ///   - fraction: how much of the work is done, in 0...1.
    ///   - what: what is told of it.
    ///   - elapsed: seconds since the start.
    func line(fraction: Double, what: String, elapsed: Double) -> String {
        var what = what
        if fraction > 0, elapsed > 0 { what += ", \(Self.duration(elapsed * (1 / fraction - 1))) left" }
        // The last column stays empty: some terminals begin a new line there.
        let room = columns - 1
        let width = min(30, room - title.count - what.count - 4)
        guard width >= 8 else { return String("\(title) \(what)".prefix(max(room, 0))) }
        let filled = min(width, max(0, Int(Double(width) * fraction)))
        return
            "\(title) [\(String(repeating: "#", count: filled))\(String(repeating: ".", count: width - filled))] \(what)"
    }

    /// `14.2/s`, `230/s`, `0.08/s`
    static func rate(_ perSecond: Double) -> String {
        String(format: perSecond >= 99.95 ? "%.0f/s" : perSecond >= 0.995 ? "%.1f/s" : "%.2f/s", perSecond)
    }

    /// `6 s`, `2 min 5 s`, `3 h 20 min`
    static func duration(_ seconds: Double) -> String {
        let whole = Int(min(max(seconds, 0), 1e9).rounded(.up))
        switch whole {
        case ..<60: return "\(whole) s"
        case ..<3600: return "\(whole / 60) min \(whole % 60) s"
        default: return "\(whole / 3600) h \(whole % 3600 / 60) min"
        }
    }
}
