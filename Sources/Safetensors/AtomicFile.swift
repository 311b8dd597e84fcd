import Foundation
import Synchronization

/// A file that appears under its name complete, or not at all.
///
/// Chunks go to a temporary file in the same folder; ``commit()`` brings it to the disk and renames it over what was
/// there. When writing fails, or the value goes away without a commit, the temporary file is removed and what was there
/// before is untouched.
///
///     var file = try AtomicFile(creating: "policy.json")
///     try file.write(Data("{}".utf8))
///     try file.commit()
///
/// Permissions are those of the file replaced, or the usual ones of a new file. A symbolic link stays one: the file it
/// points to is replaced.
public struct AtomicFile: ~Copyable {
    /// The file as the user named it.
    public let path: String
    private let destination: String
    private let temporary: String
    private let descriptor: Int32
    private var isCommitted = false

    /// Begins a file that will stand at a path once committed.
    ///
    /// - Throws: `unwritable` when the folder does not exist or may not be written to, or when something that is not a
    ///   regular file stands at the path.
    public init(creating path: String) throws(InputError) {
        let destination = try Self.destination(of: path)
        let folder = Self.folder(of: destination)
        // Another process cannot hold a name with this one's number, but a killed one may have left one behind.
        for _ in 0..<100 {
            let number = Self.counter.add(1, ordering: .relaxed).newValue
            let temporary = "\(folder)/.beem-\(getpid())-\(number).partial"
            let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
            if descriptor < 0 {
                if errno == EEXIST { continue }
                throw .unwritable(path, code: errno)
            }
            self.init(path: path, destination: destination, temporary: temporary, descriptor: descriptor)
            var status = stat()
            if stat(destination, &status) == 0 { fchmod(descriptor, status.st_mode & 0o7777) }
            return
        }
        throw .unwritable(path, code: EEXIST)
    }

    /// Begins a file with a temporary file that is open already; for tests of what a full disk does.
    init(path: String, destination: String, temporary: String, descriptor: Int32) {
        self.path = path
        self.destination = destination
        self.temporary = temporary
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
        if !isCommitted { unlink(temporary) }
    }

    private static let counter = Atomic<Int>(0)

    /// Adds bytes to the end.
    ///
    /// - Throws: `unwritable`, for example when the disk is full.
    public mutating func write(_ bytes: UnsafeRawBufferPointer) throws(InputError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            // One call takes at most 2 GiB.
            let chunk = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
            #if canImport(Darwin)
                let written = Darwin.write(descriptor, chunk.baseAddress, chunk.count)
            #else
                let written = Glibc.write(descriptor, chunk.baseAddress, chunk.count)
            #endif
            if written < 0 {
                if errno == EINTR { continue }
                throw .unwritable(path, code: errno)
            }
            rest = rest.dropFirst(written)
        }
    }

    /// Adds bytes to the end.
    public mutating func write(_ data: Data) throws(InputError) {
        // Data's own withUnsafeBytes loses the type of the error.
        let result: Result<Void, InputError> = data.withUnsafeBytes { bytes in
            do throws(InputError) { return .success(try write(bytes)) } catch { return .failure(error) }
        }
        try result.get()
    }

    /// Brings everything to the disk and gives the file its name.
    ///
    /// - Throws: `unwritable`; what was there before is then untouched.
    public consuming func commit() throws(InputError) {
        guard fsync(descriptor) == 0 else { throw .unwritable(path, code: errno) }
        guard rename(temporary, destination) == 0 else { throw .unwritable(path, code: errno) }
        isCommitted = true
        // The file is whole already; syncing the folder makes the new name survive a power cut. Some file systems
        // refuse it, which loses nothing but that.
        let folder = open(Self.folder(of: destination), O_RDONLY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    /// Writes a whole file at once.
    ///
    /// - Throws: `unwritable`; what was there before is then untouched.
    public static func write(_ data: Data, to path: String) throws(InputError) {
        var file = try AtomicFile(creating: path)
        try file.write(data)
        try file.commit()
    }

    /// Writes a whole file at once.
    ///
    /// - Throws: `unwritable`; what was there before is then untouched.
    public static func write(_ data: Data, to url: URL) throws(InputError) {
        try write(data, to: url.relativePath)
    }
}

extension AtomicFile {
    private static func folder(of path: String) -> String {
        let folder = (path as NSString).deletingLastPathComponent
        return folder.isEmpty ? "." : folder
    }

    /// What the rename replaces: the path itself, or what it points to when it is a symbolic link.
    private static func destination(of path: String) throws(InputError) -> String {
        guard !path.isEmpty, !path.hasSuffix("/") else {
            throw InputError(
                .unwritable, file: path, seen: "names a folder", expected: "the path of a file",
                advice: "Add a file name.")
        }
        var status = stat()
        guard stat(path, &status) == 0 else { return path }
        guard status.st_mode & S_IFMT == S_IFREG else {
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            throw InputError(
                .unwritable, file: path, seen: isFolder ? "is a folder" : "is a device or a pipe",
                expected: "a regular file, or nothing yet", advice: "Give another path.")
        }
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK, let real = realpath(path, nil) else {
            return path
        }
        defer { free(real) }
        return String(cString: real)
    }
}
