import ArgumentParser
import Calibration
import Foundation
import LinearAlgebra
import Safetensors

/// The command. Each subcommand is a file of its own; all work is done in libraries.
@main
struct Beem: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "beem",
        abstract: "Train exit heads, find thresholds, and certify that early exit is not worse than the full network.",
        discussion: """
            Example: beem run recipes/movie-reviews/recipe.yaml

            Exit codes: 0 done, 1 `verify` contradicts or --require-certificate found none, 2 bad input, recipe or file, \
            64 wrong usage.
            """,
        version: Calibration.version,
        subcommands: [
            Run.self, Train.self, Evaluate.self, Weights.self, Calibrate.self, Report.self, Frontier.self, Compare.self,
            RunStudy.self, Certify.self, Verify.self, Apply.self, Plan.self, Monitor.self, Export.self, Features.self,
            Doctor.self,
        ])

    static func main() {
        // Chooses OpenBLAS's kernels too, for which there may be no other threads yet.
        BLAS.useOneThread()
        do {
            try Job.join()
            var command = try parseAsRoot()
            try Job.check(command)
            try command.run()
            Job.leave()
        } catch let error as InputError {
            Job.fail("\(error)")
        } catch {
            // Wrong usage, or an exit code: the same on all ranks, so all get here.
            Job.leave()
            exit(withError: error)
        }
    }
}
