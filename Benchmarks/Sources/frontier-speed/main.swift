// How long the exact frontier of one shared threshold takes, or a coordinate search of one for each exit, and how much memory,
// on samples drawn from a recipe's real outputs. `frontier.py` writes those, calls this, and measures its peer on the scores that this writes.
//
// usage: frontier-speed OUTPUTS SAMPLES --memory M --threads T --repeats R [--scores FILE --thresholds K]
//        frontier-speed OUTPUTS SAMPLES --memory M --starts S [--moves single|pairs]
//
// Prints one JSON object. With --scores, FILE gets the table and K points spread evenly over the frontier, for the peer to
// repeat: little-endian, the scores [exits - 1][samples] and the thresholds, errors and mean costs [K] in Double, then
// whether labels are right [exits][samples] in bytes.

import ExitRules
import Foundation
import Statistics
import ThresholdOptimizer

var arguments = Array(CommandLine.arguments.dropFirst())
@MainActor func option(_ name: String, default value: String) -> String {
    guard let place = arguments.firstIndex(of: name), place + 1 < arguments.count else { return value }
    defer { arguments.removeSubrange(place...(place + 1)) }
    return arguments[place + 1]
}
let memory = Double(option("--memory", default: "1"))!
let threads = Int(option("--threads", default: "\(ProcessInfo.processInfo.activeProcessorCount)"))!
let repeats = Int(option("--repeats", default: "5"))!
let scoresFile = option("--scores", default: "")
let starts = Int(option("--starts", default: "0"))!
let moves = CoordinateSearch.Moves(rawValue: option("--moves", default: "single"))!
let thresholdCount = Int(option("--thresholds", default: "100"))!
guard arguments.count == 2, let samples = Int(arguments[1]) else { fatalError("two arguments: outputs and samples") }

let table = try RecordedOutputs(file: arguments[0]).table(count: samples, seed: 1, memory: memory)

/// The time that all threads of the process together have had.
func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
}

/// The largest resident size since it was last reset, in bytes; with what the table takes.
func peakMemory() throws -> Int {
    let lines = try String(contentsOfFile: "/proc/self/status", encoding: .utf8).split(separator: "\n")
    let peak = lines.first { $0.hasPrefix("VmHWM:") }!
    return Int(peak.split(whereSeparator: \.isWhitespace)[1])! * 1024
}

if starts > 0 {
    try Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
    var generator = SplitMix64(seed: 1)
    let start = processorSeconds()
    var result: CoordinateSearch.Result?
    let duration = ContinuousClock().measure {
        // Three starts are fixed: the best shared threshold, never, and the paper's rule.
        result = CoordinateSearch(table: table, allowedGap: 0)
            .run(randomStarts: starts - 3, moves: moves, using: &generator)
    }
    print(
        """
        { "samples": \(samples), "exits": \(table.exitCount), "starts": \(starts), "moves": "\(moves.rawValue)", \
        "seconds": \(duration / .seconds(1)), "processorSeconds": \(processorSeconds() - start), \
        "peakBytes": \(try peakMemory()), "speedUp": \(result!.best.outcome.speedUp), \
        "descents": \(result!.descents.map(\.end.outcome.speedUp)) }
        """)
    exit(0)
}

var frontier = SingleThresholdFrontier(table, threads: 1)
var seconds = Double.infinity
var processor = Double.infinity
// 5 resets the peak.
try Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
for _ in 0..<repeats {
    let start = processorSeconds()
    let duration = ContinuousClock().measure { frontier = SingleThresholdFrontier(table, threads: threads) }
    seconds = min(seconds, duration / .seconds(1))
    processor = min(processor, processorSeconds() - start)
}
let peak = try peakMemory()

if !scoresFile.isEmpty {
    let places = (0..<thresholdCount).map { 1 + $0 * (frontier.points.count - 1) / thresholdCount }
    let points = places.map { frontier.points[$0] }
    _ = FileManager.default.createFile(atPath: scoresFile, contents: nil)
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: scoresFile))
    for row in table.scores { try row.withUnsafeBytes { try file.write(contentsOf: Data($0)) } }
    for row in [
        points.map { $0.threshold! }, points.map { Double(frontier.errors(of: $0)) },
        points.map { $0.costSum / Double(samples) },
    ] {
        try row.withUnsafeBytes { try file.write(contentsOf: Data($0)) }
    }
    for row in table.isCorrect { try row.withUnsafeBytes { try file.write(contentsOf: Data($0)) } }
}
print(
    """
    { "samples": \(samples), "exits": \(table.exitCount), "points": \(frontier.points.count), "seconds": \(seconds), \
    "processorSeconds": \(processor), "peakBytes": \(peak) }
    """)
