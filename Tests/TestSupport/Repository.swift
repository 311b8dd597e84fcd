import Foundation

/// Where things are in the clone that the tests were built from.
public enum Repository {
    /// The clone's folder.
    public static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The path of a file in the clone.
    public static func path(_ relative: String) -> String { root.appendingPathComponent(relative).path }
}
