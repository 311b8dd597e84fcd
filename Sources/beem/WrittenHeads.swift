import ExitHeads
import Safetensors

/// What `beem export --json` prints.
struct WrittenHeads: Encodable, Equatable, Sendable {
    /// The file.
    var file: String
    /// Of the file's bytes, in lower-case hexadecimal.
    var sha256: String
    /// [exits]: how many features each head reads.
    var widths: [Int]

    /// Describes heads that were written.
    ///
    /// - Throws: `unreadable` when the file is not there any more.
    init(_ heads: HeadSet, file: String) throws(InputError) {
        self.file = file
        sha256 = try Safetensors.sha256(ofFile: file)
        widths = heads.heads.map(\.width)
    }
}
