import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Safetensors

@Suite("A file that appears complete or not at all")
struct AtomicFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func text(_ name: String) throws -> String {
        try String(contentsOfFile: folder.file(name), encoding: .utf8)
    }

    private func permissions(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test("writes a file, and leaves nothing else")
    func writes() throws {
        try AtomicFile.write(Data("one".utf8), to: folder.file("file.json"))
        #expect(try text("file.json") == "one")
        #expect(try folder.contents() == ["file.json"])
    }

    @Test("replaces a file, keeping its permissions")
    func replaces() throws {
        let path = try folder.write("old", as: "file.json")
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        try AtomicFile.write(Data("new".utf8), to: URL(fileURLWithPath: path))
        #expect(try text("file.json") == "new")
        #expect(try permissions(path) == 0o640)
    }

    @Test("gives a new file the permissions that any program would")
    func newPermissions() throws {
        try AtomicFile.write(Data(), to: folder.file("ours"))
        #expect(FileManager.default.createFile(atPath: folder.file("theirs"), contents: nil))
        #expect(try permissions(folder.file("ours")) == permissions(folder.file("theirs")))
    }

    @Test("leaves what was there when it is not committed")
    func discards() throws {
        let path = try folder.write("old", as: "file.json")
        func abandon() throws {
            var file = try AtomicFile(creating: path)
            try file.write(Data("half".utf8))
            #expect(try folder.contents().count == 2)
        }
        try abandon()
        #expect(try text("file.json") == "old")
        #expect(try folder.contents() == ["file.json"])
    }

    @Test(
        "leaves what was there when the disk is full", .enabled(if: FileManager.default.fileExists(atPath: "/dev/full"))
    )
    func fullDisk() throws {
        let path = try folder.write("old", as: "file.json")
        let temporary = try folder.write("", as: ".temporary")
        func fill() throws {
            var file = AtomicFile(
                path: path, destination: path, temporary: temporary, descriptor: open("/dev/full", O_WRONLY))
            try file.write(Data("new".utf8))
            try file.commit()
        }
        let error = try #require(throws: InputError.self) { try fill() }
        #expect(error.kind == .unwritable && error.file == path)
        #expect(error.seen.contains("disk is full"), "\(error)")
        #expect(try text("file.json") == "old")
        #expect(try folder.contents() == ["file.json"])
    }

    @Test("says that the folder does not exist, or is a file")
    func noFolder() throws {
        let path = folder.file("missing/file.json")
        let first = try #require(throws: InputError.self) { try AtomicFile.write(Data(), to: path) }
        #expect(first.kind == .unwritable && first.file == path)
        #expect(first.seen == "the folder '\(folder.file("missing"))' does not exist")
        try folder.write("", as: "plain")
        let second = try #require(throws: InputError.self) { try AtomicFile.write(Data(), to: folder.file("plain/x")) }
        #expect(second.seen.contains("is a file, not a folder"))
    }

    @Test("says that the folder may not be written to", .enabled(if: geteuid() != 0))
    func noPermission() throws {
        try folder.write("old", as: "file.json")
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: folder.path)
        defer { try? FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder.path) }
        let error = try #require(throws: InputError.self) { try AtomicFile.write(Data(), to: folder.file("file.json")) }
        #expect(error.kind == .unwritable && error.seen.contains("does not let you write"))
        #expect(try text("file.json") == "old")
    }

    @Test("refuses to put a file in the place of a folder or a device")
    func notAFile() throws {
        let first = try #require(throws: InputError.self) { try AtomicFile.write(Data(), to: folder.path) }
        #expect(first.kind == .unwritable && first.seen == "is a folder")
        let second = try #require(throws: InputError.self) { try AtomicFile.write(Data(), to: "/dev/null") }
        #expect(second.seen == "is a device or a pipe")
        #expect(throws: InputError.self) { try AtomicFile.write(Data(), to: folder.path + "/") }
        #expect(throws: InputError.self) { try AtomicFile.write(Data(), to: "") }
    }

    @Test("writes through a symbolic link")
    func symbolicLink() throws {
        let target = try folder.write("old", as: "target")
        try FileManager.default.createSymbolicLink(atPath: folder.file("link"), withDestinationPath: target)
        try AtomicFile.write(Data("new".utf8), to: folder.file("link"))
        #expect(try text("target") == "new")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder.file("link")) == target)
    }

    @Test("lets several threads write to one folder, and to one file")
    func concurrent() throws {
        let path = folder.file("file")
        let failures = Atomic(0)
        DispatchQueue.concurrentPerform(iterations: 50) { index in
            do {
                try AtomicFile.write(Data(String(repeating: "\(index % 10)", count: 1000).utf8), to: path)
            } catch {
                failures.add(1, ordering: .relaxed)
            }
        }
        #expect(failures.load(ordering: .relaxed) == 0)
        let result = try text("file")
        #expect(result.count == 1000 && Set(result).count == 1)
        #expect(try folder.contents() == ["file"])
    }
}
