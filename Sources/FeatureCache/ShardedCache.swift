import Foundation
import Safetensors

/// A feature cache, or exit outputs in safetensors, in files that hold rows one after the other, and the index of them.
///
/// Every file is a cache by itself: it has the tensors with its own rows, the metadata, and a copy of what has no rows.
public struct ShardedCache: Codable, Equatable, Sendable {
    /// A file that holds some of the rows.
    public struct Shard: Codable, Equatable, Sendable {
        /// The file, beside the index.
        public var file: String
        /// How many samples it has.
        public var samples: Int
        /// Its size in bytes.
        public var byteCount: Int
    }

    /// The index as the user named it.
    public var path: String
    /// How many samples all files have.
    public var sampleCount: Int
    /// In the order of their rows.
    public var shards: [Shard]

    /// What the name of an index ends with.
    public static let ending = ".safetensors.index.json"

    private init(_ store: SafetensorsStore) {
        path = store.path
        sampleCount = store.rowShards.last?.rows.upperBound ?? 0
        shards = store.rowShards.map { Shard(file: $0.path, samples: $0.rows.count, byteCount: $0.byteCount) }
    }
}

// MARK: - Joining

extension ShardedCache {
    /// Writes the index of files that hold rows of one cache, or of exit outputs; nothing is copied.
    ///
    /// Features and logits are not read: a job checks those of its own file by opening it, and so does every command that
    /// opens the index.
    ///
    /// - Parameters:
    ///   - parts: files in the folder of the index, in the order of their rows.
    ///   - path: where the index will stand, also in place of another; ends with ``ending``.
    /// - Throws: what opening a cache throws; `mismatch` for a part in another folder, and for parts that do not fit together;
    ///   `unwritable`.
    /// - Complexity: O(headers + samples).
    @discardableResult
    public static func join(_ parts: [String], index path: String) throws(InputError) -> ShardedCache {
        precondition(path.hasSuffix(ending) && !parts.isEmpty, "the name of an index, and parts")
        let folder = realFolder(of: path)
        for part in parts where realFolder(of: part) != folder {
            throw InputError(
                .mismatch, file: part, seen: "a file outside the folder of \(path)",
                expected: "the parts of an index beside it", advice: "Move the part there, or write the index here.")
        }
        let store = try SafetensorsStore(
            rowShards: parts.map { ($0 as NSString).lastPathComponent }, whole: try wholeTensors(of: parts[0]),
            index: path)
        try check(store)
        try store.checkCopies()
        try store.writeIndex()
        return ShardedCache(store)
    }

    /// The tensors of a part that have no rows, and that part: where the index places them.
    private static func wholeTensors(of part: String) throws(InputError) -> [String: String] {
        let store = try SafetensorsStore(opening: part)
        let count = try store.sampleCount()
        let whole = store.tensors.filter { !$0.description.hasRows(sampleCount: count) }.map(\.name)
        let name = (part as NSString).lastPathComponent
        return Dictionary(uniqueKeysWithValues: whole.map { ($0, name) })
    }

    /// Checks that files hold a cache, or else exit outputs; whether features are finite is not looked at.
    private static func check(_ store: SafetensorsStore) throws(InputError) {
        if store["features.0"] != nil || !store.holdsOutputs {
            _ = try FeatureCache(store, checkValues: false)
        } else {
            _ = try RecordedOutputs(store)
        }
    }

    /// The folder of a file, without symbolic links on the way to it.
    private static func realFolder(of path: String) -> String {
        let folder = (path as NSString).deletingLastPathComponent
        return URL(fileURLWithPath: folder.isEmpty ? "." : folder).resolvingSymlinksInPath().standardizedFileURL.path
    }
}

// MARK: - Cutting

extension ShardedCache {
    /// Cuts a cache, or exit outputs, into files of as many rows as can be, up to one, and writes their index.
    ///
    /// The files stand beside the index, `NAME-00001-of-00004.safetensors` for `NAME.safetensors.index.json`. The index comes
    /// last: until then nothing names them, and when something fails they are removed.
    ///
    /// - Parameters:
    ///   - source: the cache, one file or an index.
    ///   - count: how many files, at least 1.
    ///   - path: where the index will stand; ends with ``ending``.
    ///   - progress: called as files are done.
    /// - Throws: what opening a cache throws; `outOfRange` for more files than samples; `unwritable` for an index that is
    ///   there already, or a file of the source that would be written over, and when there is no space.
    /// - Complexity: O(bytes), copied in blocks; memory O(samples).
    @discardableResult
    public static func cut(
        _ source: String, into count: Int, index path: String,
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws(InputError) -> ShardedCache {
        precondition(path.hasSuffix(ending) && count >= 1, "the name of an index, and at least one file")
        let store = try SafetensorsStore(opening: source)
        try check(store)
        try store.checkCopies()
        let sampleCount = try store.sampleCount()
        guard count <= sampleCount else {
            throw InputError(
                .outOfRange, file: source, seen: "\(count) shards of \(sampleCount) samples",
                expected: "a sample for each shard, at least", advice: "Cut it into fewer shards.")
        }
        let parts = partNames(path, count: count)
        try checkPlaces(of: parts, index: path, source: store)
        var written: [String] = []
        do throws(InputError) {
            for (shard, part) in parts.enumerated() {
                let rows = (shard * sampleCount / count)..<((shard + 1) * sampleCount / count)
                let tensors = store.tensors.map { tensor in
                    CacheTensor(
                        copying: tensor, rows: tensor.description.hasRows(sampleCount: sampleCount) ? rows : nil)
                }
                try CacheTensor.write(tensors, metadata: store.metadata, to: part)
                written.append(part)
                progress(shard + 1, count)
            }
            return try join(parts, index: path)
        } catch {
            for part in written { unlink(part) }
            throw error
        }
    }

    private static func partNames(_ index: String, count: Int) -> [String] {
        let stem = index.dropLast(ending.count)
        func padded(_ number: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        }
        return (1...count).map { "\(stem)-\(padded($0))-of-\(padded(count)).safetensors" }
    }

    /// Refuses to write over files that an index names, or that the rows are read from.
    private static func checkPlaces(
        of parts: [String], index path: String, source: SafetensorsStore
    ) throws(InputError) {
        func taken(_ file: String, _ seen: String) -> InputError {
            InputError(
                .unwritable, file: file, seen: seen, expected: "a place that is free",
                advice: "Choose another name for the index.")
        }
        var status = stat()
        if lstat(path, &status) == 0 { throw taken(path, "an index, or something else, stands there already") }
        let read = Set(source.files.compactMap { identity(of: $0.path) })
        for part in parts {
            if let identity = identity(of: part), read.contains(identity) {
                throw taken(part, "a file of \(source.path), which is to be cut")
            }
        }
    }

    /// What tells a file from all others; nil when there is none.
    private static func identity(of path: String) -> String? {
        var status = stat()
        return stat(path, &status) == 0 ? "\(status.st_dev) \(status.st_ino)" : nil
    }
}

extension SafetensorsStore {
    fileprivate var holdsOutputs: Bool { self["logits.0"] != nil || self["label.0"] != nil }

    fileprivate func sampleCount() throws(InputError) -> Int {
        if let targets = self["targets"] { return targets.rowCount }
        return try tensor("labels").rowCount
    }
}

extension TensorDescription {
    /// Whether a tensor of a cache or of exit outputs has a row for each sample. Tensors that neither has a use for do if they
    /// have as many rows.
    fileprivate func hasRows(sampleCount: Int) -> Bool {
        switch name.split(separator: ".").first {
        case "features", "logits", "label", "confidence", "margin", "entropy": true
        case "labels", "targets", "split", "group", "subgroup": true
        case "projection", "offset": false
        default: shape.first == sampleCount
        }
    }
}
