import ArgumentParser
import Calibration
import ExitHeads
import ExitPolicy
import Foundation
import LinearAlgebra
import Safetensors

/// Options of every command that works on a recipe.
struct RecipeOptions: ParsableArguments {
    @Argument(help: "The recipe.", completion: .file(extensions: ["yaml", "yml"]))
    var recipe: String

    @Option(help: "Draw splits with this seed instead of the recipe's.")
    var seed: UInt64?

    @Option(help: "Write to this folder instead of the recipe's.", completion: .directory)
    var output: String?

    @Option(help: "Use at most this many threads; results do not depend on it.")
    var threads: Int?

    @OptionGroup var printing: PrintingOptions

    func validate() throws {
        if let threads, threads < 1 { throw ValidationError("--threads is at least 1") }
    }

    /// Opens the recipe and its data, with the options applied.
    ///
    /// - Parameter change: what else a command changes in the recipe.
    func experiment(_ change: (inout Recipe) -> Void = { _ in }) throws(InputError) -> Experiment {
        var recipe = try Recipe(reading: recipe)
        if let seed { recipe.seed = seed }
        if let output { recipe.output = output }
        change(&recipe)
        let experiment = try Experiment(
            recipe, threads: threads ?? Parallel.availableThreads, ranks: Job.ranks)
        experiment.data.warnings.forEach(PrintingOptions.warn)
        return experiment
    }
}

/// Where heads are read from.
struct HeadsOption: ParsableArguments {
    @Option(
        help: "Read the heads from this file instead of the output folder.",
        completion: .file(extensions: ["safetensors"]))
    var heads: String?

    /// What the exits say: by the heads, or as it was recorded.
    func exits(for experiment: Experiment) throws(InputError) -> ExitSource {
        if case .outputs = experiment.data, heads == nil { return try experiment.exits() }
        return try experiment.exits(read(for: experiment))
    }

    /// What the exits say, for a command that writes policies into a folder; heads from elsewhere are written there too, since
    /// a policy and its heads stand in one folder.
    ///
    /// - Returns: the exits, and the heads' file in the folder; nil where the exits were trained elsewhere.
    func exits(
        for experiment: Experiment, beside folder: OutputFolder
    ) throws(InputError) -> (exits: ExitSource, headsFile: String?) {
        let exits = try exits(for: experiment)
        guard case .heads(let set, _, _) = exits else { return (exits, nil) }
        if heads != nil, experiment.ranks.isFirst { try set.write(to: folder.heads) }
        return (exits, folder.heads)
    }

    private func read(for experiment: Experiment) throws(InputError) -> HeadSet {
        let path = heads ?? OutputFolder(experiment.recipe.output).heads
        guard heads != nil || FileManager.default.fileExists(atPath: path) else {
            throw InputError(
                .missing, file: path, seen: "no such file", expected: "trained heads",
                advice: "Train them with `beem train`, or name a file with --heads.")
        }
        return try HeadSet(reading: path)
    }
}

/// What is printed, and how.
struct PrintingOptions: ParsableArguments {
    @Flag(help: "Print one JSON object or array on standard output instead of tables, and nothing beside it.")
    var json = false

    @Flag(name: .shortAndLong, help: "Print neither tables nor notes nor progress.")
    var quiet = false

    /// Results go to standard output: as JSON, as text, or not at all.
    func print(_ text: @autoclosure () -> String, json value: @autoclosure () -> some Encodable) throws {
        if json {
            try StandardStreams.writeOutput(JSONFile.encode(value()))
        } else if !quiet {
            try StandardStreams.writeReport(text())
        }
    }

    /// What to know beside the results goes to standard error.
    func note(_ text: String) {
        if !quiet && !json { StandardStreams.writeMessage(text + "\n") }
    }

    /// Says that a certificate's samples were used more often than its failure probability was divided over.
    static func warnOfOveruse(_ certificate: Certificate?) {
        guard let certificate, certificate.isOverused else { return }
        warn(
            "the certify split of this policy has been used by \(certificate.certifyUses) different runs, and delta was "
                + "divided over \(certificate.uses): the guarantee holds for the first only")
    }

    /// What must not be overlooked goes to standard error, also when quiet.
    static func warn(_ text: String) {
        StandardStreams.writeMessage("beem: warning: \(text)\n")
    }
}
