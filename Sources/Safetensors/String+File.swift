import Foundation

extension String {
    /// Reads a file of UTF-8 text.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - expected: what the file should be.
    ///   - advice: what to do when it cannot be read.
    /// - Throws: `unreadable`.
    public init(readingFile path: String, expected: String, advice: String) throws(InputError) {
        do {
            self = try String(contentsOf: URL(fileURLWithPath: path), encoding: .utf8)
        } catch {
            throw InputError(
                .unreadable, file: path, seen: "cannot be read as UTF-8 text", expected: expected, advice: advice)
        }
    }
}
