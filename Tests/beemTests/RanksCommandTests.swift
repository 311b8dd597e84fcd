#if MPI
    import Foundation
    import TestSupport
    import Testing

    extension Command {
        /// MPI's launcher, when it is there.
        static let launcher: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
            .map { "\($0)/mpirun" }.first { FileManager.default.isExecutableFile(atPath: $0) }

        /// Runs `beem` as a job of several ranks, on however few cores.
        static func ranks(_ count: Int, _ arguments: String...) throws -> Command {
            try Command(
                launcher!, ["--oversubscribe", "-n", "\(count)", beemPath] + arguments,
                environment: [
                    // In a container one is root, and may not read another process's memory.
                    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
                ])
        }
    }

    @Suite("A job of several ranks", .enabled(if: Command.launcher != nil))
    struct RanksCommandTests {
        @Test("writes the files of one process, byte for byte, and says the same once", arguments: [1, 2, 4])
        func sameBytes(count: Int) throws {
            let folder = try CommandFolder()
            let (alone, shared) = (folder.folder.file("alone"), folder.folder.file("shared"))
            let one = try Command.beem("run", folder.recipe, "--output", alone)
            let several = try Command.ranks(count, "run", folder.recipe, "--output", shared, "--threads", "1")
            #expect(one.exitCode == 0 && several.exitCode == 0, "\(several.errors)")
            let names = try FileManager.default.contentsOfDirectory(atPath: alone).sorted()
            #expect(try FileManager.default.contentsOfDirectory(atPath: shared).sorted() == names)
            for name in names where name != "report.html" {
                #expect(
                    FileManager.default.contentsEqual(atPath: "\(alone)/\(name)", andPath: "\(shared)/\(name)"),
                    "\(name)")
            }
            #expect(several.output.components(separatedBy: "CERTIFIED").count == 2)
        }

        @Test("trains on minibatches to the same heads")
        func minibatches() throws {
            let folder = try CommandFolder(extra: "training: { optimizer: adamw, epochs: 3, l2: [0, 1e-2] }")
            let (alone, shared) = (folder.folder.file("alone"), folder.folder.file("shared"))
            #expect(try Command.beem("train", folder.recipe, "--output", alone).exitCode == 0)
            #expect(try Command.ranks(3, "train", folder.recipe, "--output", shared).exitCode == 0)
            for name in ["heads.safetensors", "training.csv"] {
                #expect(FileManager.default.contentsEqual(atPath: "\(alone)/\(name)", andPath: "\(shared)/\(name)"))
            }
        }

        @Test("finds the same policy on counts alone")
        func counts() throws {
            let folder = try CommandFolder()
            let (alone, shared) = (folder.folder.file("alone"), folder.folder.file("shared"))
            #expect(try Command.beem("run", folder.recipe, "--output", alone).exitCode == 0)
            let several = try Command.ranks(2, "run", folder.recipe, "--counts", "--output", shared)
            #expect(several.exitCode == 0, "\(several.errors)")
            #expect(several.errors.contains("exchanged"))
            #expect(
                FileManager.default.contentsEqual(atPath: "\(alone)/policy.json", andPath: "\(shared)/policy.json"))
            #expect(!FileManager.default.fileExists(atPath: "\(shared)/report.html"))
        }

        @Test("says once what is wrong for all, and ends with 2")
        func mistakes() throws {
            let folder = try CommandFolder()
            let missing = try Command.ranks(2, "run", folder.folder.file("none.yaml"))
            #expect(missing.exitCode == 2)
            #expect(missing.errors.components(separatedBy: "none.yaml").count == 2, "\(missing.errors)")
            let usage = try Command.ranks(2, "run", folder.recipe, "--threads", "0")
            #expect(usage.exitCode == 64)
            let other = try Command.ranks(2, "evaluate", folder.recipe)
            #expect(other.exitCode == 2)
            #expect(other.errors.contains("Start it without mpirun"))
        }

        @Test("ends as a whole where one rank finds a number that is none in its part of the rows")
        func badRows() throws {
            var cache = SyntheticCache()
            cache.corruption = { features in features[1][features[1].count - 1] = .nan }
            let folder = try CommandFolder(cache: cache)
            let command = try Command.ranks(2, "run", folder.recipe)
            #expect(command.exitCode == 2)
            #expect(command.errors.contains("rank 1") && command.errors.contains("features.1, row 1199"))
            #expect(!FileManager.default.fileExists(atPath: folder.policy))
        }
    }
#endif
