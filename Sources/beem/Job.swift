import ArgumentParser
import Foundation
import LinearAlgebra
import MPIRanks
import Ranks
import Safetensors

/// The job that this process is a rank of; where no launcher started it, a job of its own.
enum Job {
    #if MPI
        private static let joined = MPICommunicator.joinedJob()
    #endif

    /// All ranks of the job.
    static let ranks: any Communicator = {
        #if MPI
            if let joined { return joined }
        #endif
        return OneProcess()
    }()

    /// Joins the job, before anything else happens.
    ///
    /// - Throws: `InputError` when processors differ, on which ranks would not come to the same bytes.
    static func join() throws(InputError) {
        guard !ranks.isAlone else { return }
        if ranks.isFirst { explainTermination() }
        let own = BLASSummary()
        let description = "\(own.kernels) of \(own.configuration), and beem's for \(OwnKernels.description)"
        let kernels = ranks.gatheredParts([UInt8](description.utf8))
            .map { String(decoding: $0, as: UTF8.self) }
        guard let other = kernels.firstIndex(where: { $0 != kernels[0] }) else { return }
        throw InputError(
            .unsupported, file: "the job", item: "rank \(other)", seen: "OpenBLAS with the kernels \(kernels[other])",
            expected: "\(kernels[0]), as rank 0 has",
            advice: "Ask for nodes of one kind, or set OPENBLAS_CORETYPE and BEEM_KERNELS on all of them.")
    }

    /// Where a rank dies, the launcher ends the others with a signal: then the first says what is left to do.
    private static func explainTermination() {
        signal(SIGTERM) { _ in
            // All that a handler may do: write bytes that are there already, and end.
            let text: StaticString =
                "beem: ended from outside, as when another rank dies. No file is half-written: go on with --resume.\n"
            _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
            _exit(128 + SIGTERM)
        }
    }

    /// Refuses commands that are for one process.
    static func check(_ command: any ParsableCommand) throws(InputError) {
        guard !ranks.isAlone, !(command is Run || command is Train || command is Calibrate) else { return }
        let name = type(of: command).configuration.commandName ?? "\(type(of: command))".lowercased()
        throw InputError(
            .unsupported, file: "beem \(name)", seen: "a job of \(ranks.rankCount) ranks",
            expected: "one process, or one of the commands run, train and calibrate",
            advice: "Start it without mpirun.")
    }

    /// Leaves the job, once all ranks have come to their end.
    static func leave() {
        #if MPI
            joined?.leave()
        #endif
    }

    /// Ends the process for an error, and with it all ranks: they wait for this one.
    static func fail(_ message: String) -> Never {
        guard !ranks.isAlone else {
            StandardStreams.writeMessage("beem: error: \(message)\n")
            exit(failureCode)
        }
        // What is wrong for all is told once: others leave the first rank the time to tell it.
        if !ranks.isFirst { Thread.sleep(forTimeInterval: 1) }
        StandardStreams.writeUnmuted("beem: error (rank \(ranks.rank)): \(message)\n")
        #if MPI
            joined?.abort(exitCode: failureCode)
        #endif
        exit(failureCode)
    }

    /// Bad input, recipe or file.
    private static let failureCode: Int32 = 2
}
