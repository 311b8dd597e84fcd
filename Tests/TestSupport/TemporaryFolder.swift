import Foundation

/// A new folder that is removed, with all it holds, when the object goes away.
public final class TemporaryFolder: Sendable {
    /// The folder, without a slash at the end.
    public let path: String

    /// Makes the folder.
    public init() throws {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent("beem-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        path = place.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of a file in the folder, which need not exist.
    public func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file in the folder and returns its path.
    @discardableResult
    public func write(_ data: Data, as name: String) throws -> String {
        try data.write(to: URL(fileURLWithPath: file(name)))
        return file(name)
    }

    /// Writes a text file in the folder and returns its path.
    @discardableResult
    public func write(_ text: String, as name: String) throws -> String { try write(Data(text.utf8), as: name) }

    /// The names of what the folder holds, hidden files too, sorted.
    public func contents() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
}
