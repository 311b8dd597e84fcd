/// A page that can be written to a file.
public protocol HTMLPage: Sendable {
    /// The file's text.
    var html: String { get }
    /// Why there are no pictures, in a sentence; nil where there are.
    var missingPictures: String? { get }
}
