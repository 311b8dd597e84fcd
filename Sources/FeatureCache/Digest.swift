import Ranks
import Safetensors
import Synchronization

/// The SHA-256 of data, made when it is first asked for.
final class Digest: Sendable {
    private let store: SafetensorsStore?
    private let made: Mutex<String?>

    /// That of a safetensors file, or of its shards.
    init(of store: SafetensorsStore) {
        self.store = store
        made = Mutex(nil)
    }

    /// One that is known.
    init(_ value: String) {
        store = nil
        made = Mutex(value)
    }

    /// 64 hexadecimal digits.
    ///
    /// - Complexity: O(bytes) the first time.
    var value: String {
        made.withLock { made in
            let value = made ?? store?.sha256() ?? ""
            made = value
            return value
        }
    }

    /// Makes it on all ranks at the same time, each hashing some of the shards. Of a single file there is nothing to divide: who
    /// asks for it makes it.
    func share(among ranks: any Communicator) {
        guard !ranks.isAlone, let store, store.files.count > 1 else { return }
        let value = store.sha256 { files in
            let own = files[ranks.part(of: files.count)].map { $0.sha256() }
            return ranks.gatheredParts(own.flatMap { [UInt8]($0.utf8) }).flatMap { bytes in
                stride(from: 0, to: bytes.count, by: 64).map {
                    String(decoding: bytes[$0..<($0 + 64)], as: UTF8.self)
                }
            }
        }
        made.withLock { $0 = value }
    }
}
