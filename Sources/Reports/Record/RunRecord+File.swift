import ExitPolicy
import Foundation
import Safetensors

extension RunRecord {
    /// Writes `report.json`, all or nothing.
    ///
    /// - Throws: ``InputError`` when the place cannot be written to.
    public func write(to path: String) throws(InputError) {
        let data: Data
        do {
            data = try JSONFile.encode(self)
        } catch {
            preconditionFailure("a record holds finite numbers only: \(error)")
        }
        try AtomicFile.write(data, to: path)
    }

    /// Reads a record.
    ///
    /// - Throws: ``InputError`` when the file cannot be read, is no record, or one of another version.
    public init(reading path: String) throws(InputError) {
        self = try JSONFile.read(
            RunRecord.self, from: path, expected: "what a run found",
            advice: "Name the output folder of `beem run` or `beem calibrate`, or run it again with this version.")
        guard format == Self.formatName, version == Self.currentVersion else {
            throw InputError(
                .unsupported, file: path, item: "format, version", seen: "\(format), \(version)",
                expected: "\(Self.formatName), \(Self.currentVersion)", advice: "Run `beem calibrate` again.")
        }
    }
}

extension JSONFile {
    /// Reads a value from a file.
    ///
    /// - Parameters:
    ///   - expected: what the file should be.
    ///   - advice: what to do when it cannot be read.
    /// - Throws: ``InputError`` that names the key.
    static func read<Value: Decodable>(
        _ type: Value.Type, from path: String, expected: String, advice: String
    ) throws(InputError) -> Value {
        let text = try String(readingFile: path, expected: expected, advice: advice)
        do {
            return try JSONDecoder().decode(type, from: Data(text.utf8))
        } catch {
            throw InputError(decoding: error, file: path, expected: expected)
        }
    }
}
