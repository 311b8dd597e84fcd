import Foundation
import Reports
import Safetensors

/// A folder that files are to go to: whether one can be made there, and how much room there is.
struct FolderSpace: Sendable {
    /// The folder.
    let path: String
    /// Why no file can be made there; nil where one can.
    let problem: String?
    /// The bytes that are free; nil where the system does not say.
    let free: UInt64?

    /// Tries to make a file, which goes away again, and asks for the free space.
    init(_ path: String) {
        self.path = path
        do {
            // Not committed, so it is removed.
            _ = try AtomicFile(creating: "\(path)/beem-doctor")
            problem = nil
        } catch {
            problem = error.seen
        }
        var status = statvfs()
        free = statvfs(path, &status) == 0 ? UInt64(status.f_bavail) * UInt64(status.f_frsize) : nil
    }

    /// Below this many bytes writing heads and policies may fail before long.
    static let little: UInt64 = 256 << 20

    /// What the folder's check says.
    ///
    /// - Parameters:
    ///   - isNeeded: whether beem cannot work without it.
    ///   - advice: what to do where nothing can be written.
    func check(_ name: String, isNeeded: Bool, advice: String) -> DoctorReport.Check {
        if let problem {
            let found = "\(path) \(problem)"
            return isNeeded ? .error(name, found, advice: advice) : .warning(name, found, advice: advice)
        }
        guard let free else { return .ok(name, "\(path), writable") }
        let found = "\(path), writable, \(Self.size(free)) free"
        return free < Self.little ? .warning(name, found, advice: "free some space") : .ok(name, found)
    }

    /// `12.3 GiB`, `700 MiB`
    static func size(_ bytes: UInt64) -> String {
        let mebibytes = Double(bytes) / Double(1 << 20)
        return mebibytes < 1024 ? String(format: "%.0f MiB", mebibytes) : String(format: "%.1f GiB", mebibytes / 1024)
    }
}
