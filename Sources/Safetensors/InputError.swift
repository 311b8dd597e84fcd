/// Something a user gave that cannot be used: a file, a value in it, a place to write to.
///
/// Every message names the file, the key or tensor in it, what was seen, what was expected and what to do, so the
/// parts are fields that a writer of an error cannot leave out by accident.
public struct InputError: Error, Equatable, Sendable {
    /// What went wrong, for programs that react to it.
    public enum Kind: String, Sendable {
        /// The file does not exist or cannot be opened.
        case unreadable
        /// The place cannot be written to, or the disk is full.
        case unwritable
        /// The file is not of the expected format.
        case malformed
        /// A key, tensor or row that is needed is not there.
        case missing
        /// A key that nobody knows.
        case unknownKey
        /// A single value lies outside what is allowed.
        case outOfRange
        /// A number that is not finite.
        case notFinite
        /// Two things that belong together disagree.
        case mismatch
        /// A valid request that this version does not serve.
        case unsupported
    }

    /// What went wrong.
    public var kind: Kind
    /// The file (or folder) as the user named it.
    public var file: String
    /// The key, tensor, row or line inside the file.
    public var item: String?
    /// What was found.
    public var seen: String
    /// What would have been right.
    public var expected: String
    /// What to do about it, as a sentence.
    public var advice: String?

    /// Creates an error; see the fields.
    public init(
        _ kind: Kind, file: String, item: String? = nil, seen: String, expected: String, advice: String? = nil
    ) {
        self.kind = kind
        self.file = file
        self.item = item
        self.seen = seen
        self.expected = expected
        self.advice = advice
    }
}

extension InputError: CustomStringConvertible {
    /// One line: `FILE: ITEM: SEEN; expected EXPECTED. ADVICE`.
    public var description: String {
        let place = [file, item].compactMap { $0 }.joined(separator: ": ")
        let ending = advice.map { " \($0)" } ?? ""
        return "\(place): \(seen); expected \(expected).\(ending)"
    }
}
