import Foundation

/// A file mapped read-only into memory for as long as the object lives.
///
/// Pages come from the page cache when they are touched and may be dropped again, so a mapping larger than the memory
/// of the machine is fine. Not guaranteed: if another program shortens the file meanwhile, touching the lost pages ends
/// the process (`SIGBUS`). Files replaced by renaming, as every writer of this toolkit does, are safe.
public final class MappedFile: Sendable {
    /// The path as the user gave it.
    public let path: String
    /// The mapped bytes; valid while this object lives. Empty for an empty file.
    nonisolated(unsafe) let bytes: UnsafeRawBufferPointer

    /// Maps a file.
    ///
    /// - Throws: `unreadable` when it does not exist, may not be read, or is not a regular file.
    public init(opening path: String) throws(InputError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(path, code: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .unreadable(path, code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            throw InputError(
                .unreadable, file: path, seen: isFolder ? "is a folder" : "is not a regular file",
                expected: "a regular file", advice: "Give the path of the file itself.")
        }
        let size = Int(status.st_size)
        self.path = path
        // mmap refuses a length of zero.
        guard size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address, address != MAP_FAILED else { throw .unreadable(path, code: errno) }
        bytes = UnsafeRawBufferPointer(start: address, count: size)
    }

    deinit {
        if let address = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: address), bytes.count) }
    }

    /// The size in bytes.
    public var count: Int { bytes.count }

    /// Calls a closure with all bytes of the file; the pointer must not leave the closure.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(bytes)
    }
}
