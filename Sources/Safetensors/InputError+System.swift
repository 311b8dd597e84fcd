import Foundation

extension InputError {
    /// The error for a file that a system call could not open, map or read.
    ///
    /// - Parameters:
    ///   - file: the file as the user named it.
    ///   - code: the `errno` of the call.
    static func unreadable(_ file: String, code: Int32) -> InputError {
        let advice =
            switch code {
            case ENOENT, ENOTDIR: "Check the path; a relative one starts at the current folder."
            case EACCES, EPERM: "Change its permissions or run as a user who may read it."
            case EMFILE, ENFILE: "Close other files or raise the limit (ulimit -n)."
            default: "Check that the disk and the path are in order."
            }
        return InputError(
            .unreadable, file: file, seen: "cannot be read (\(reason(code)))", expected: "a file that can be read",
            advice: advice)
    }

    /// The error for a file that a system call could not create, write or move into place.
    ///
    /// - Parameters:
    ///   - file: the file as the user named it, not the temporary one beside it.
    ///   - code: the `errno` of the call.
    static func unwritable(_ file: String, code: Int32) -> InputError {
        let folder = (file as NSString).deletingLastPathComponent
        let place = folder.isEmpty ? "the current folder" : "the folder '\(folder)'"
        let (seen, advice) =
            switch code {
            case ENOENT: ("\(place) does not exist", "Create it first, or choose another place.")
            case ENOTDIR: ("a part of '\(folder)' is a file, not a folder", "Choose another place.")
            case EACCES, EPERM:
                (
                    "\(place) does not let you write (\(reason(code)))",
                    "Change its permissions, or choose another place."
                )
            case EROFS: ("\(place) is on a read-only file system", "Choose another place.")
            case ENOSPC, EDQUOT:
                (
                    "the disk is full (\(reason(code)))",
                    "Free some space, or choose another place; what was there before is unchanged."
                )
            case EFBIG: ("the file grew past the allowed size", "Raise the limit (ulimit -f), or choose another place.")
            default: ("cannot be written (\(reason(code)))", "What was there before is unchanged.")
            }
        return InputError(
            .unwritable, file: file, seen: seen, expected: "a folder that can be written to, with enough space",
            advice: advice)
    }

    private static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }
}
