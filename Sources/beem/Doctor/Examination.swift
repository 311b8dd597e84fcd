import Calibration
import Foundation
import LinearAlgebra
import Reports
import Safetensors

/// Looks at everything that beem needs or uses on this machine.
enum Examination {
    /// All checks, in the order in which they are told.
    static func report() -> DoctorReport {
        DoctorReport(
            [
                .ok("beem", "\(Calibration.version), built with \(MachineFacts.compiler)"), swift,
                .ok("system", MachineFacts.operatingSystem), .ok("processor", MachineFacts.processor),
                .ok("threads", "\(Parallel.availableThreads)"),
            ] + blas(BLASSummary()) + [
                checksum, gnuplot(ProgramOnPath("gnuplot")),
                FolderSpace(FileManager.default.currentDirectoryPath).check(
                    "current folder", isNeeded: true, advice: "go to a folder that you may write to"),
                FolderSpace(FileManager.default.temporaryDirectory.standardized.path).check(
                    "temporary folder", isNeeded: false, advice: "let TMPDIR name a folder that you may write to"),
            ])
    }

    /// The toolchain, which is needed to build beem and not to run it.
    private static var swift: DoctorReport.Check {
        guard let swift = ProgramOnPath("swift") else { return .ok("swift", "not found; needed to build beem only") }
        return .ok("swift", swift.firstLine("--version") ?? "\(swift.path), which does not say its version")
    }

    /// OpenBLAS, its kernels, and whether they compute rightly.
    static func blas(_ summary: BLASSummary) -> [DoctorReport.Check] {
        let kernels = "kernels"
        let found = summary.kernels + (summary.areKernelsOurChoice ? ", chosen by beem" : ", chosen by OpenBLAS")
        let (ownKernels, product) = ("own kernels", "product of matrices")
        // The first two words are the name and the version.
        let version = summary.configuration.split(separator: " ").prefix(2).joined(separator: " ")
        return [
            .ok("OpenBLAS", "\(version), \(summary.threads == 1 ? "one thread" : "\(summary.threads) threads")"),
            summary.areKernelsSlow
                ? .warning(
                    kernels, "\(summary.kernels), which are slow",
                    advice: "unset OPENBLAS_CORETYPE, or install a newer OpenBLAS")
                : .ok(kernels, found),
            OwnKernels.misnamed.map {
                .warning(
                    ownKernels, "\(OwnKernels.description); BEEM_KERNELS is \($0), which is none",
                    advice: "set it to one of \(OwnKernels.names.joined(separator: ", ")), or unset it")
            } ?? .ok(ownKernels, OwnKernels.description),
            summary.multipliesRightly
                ? .ok(product, "as by a plain loop")
                : .error(
                    product, "not as by a plain loop",
                    advice: "install another OpenBLAS, or name other kernels with OPENBLAS_CORETYPE"),
        ]
    }

    /// The standard's own example (FIPS 180-2, B.1).
    private static var checksum: DoctorReport.Check {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        return sha256(of: Data("abc".utf8)) == expected
            ? .ok("SHA-256", "as the standard says")
            : .error("SHA-256", "not as the standard says", advice: "build beem again")
    }

    /// What draws the pictures of reports.
    static func gnuplot(_ program: ProgramOnPath?) -> DoctorReport.Check {
        guard let program else {
            return .warning("gnuplot", "not found", advice: "reports are made without pictures; install gnuplot-nox")
        }
        guard let version = program.firstLine("--version") else {
            return .warning(
                "gnuplot", "\(program.path), which does not run",
                advice: "reports are made without pictures; install gnuplot-nox again")
        }
        return .ok("gnuplot", "\(version), \(program.path)")
    }
}
