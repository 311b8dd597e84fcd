import Crypto
import Foundation

/// The SHA-256 of a file's bytes, as 64 lowercase hexadecimal digits.
///
/// - Throws: `unreadable` when the file cannot be read.
/// - Complexity: O(bytes); the file is mapped, never copied whole.
public func sha256(ofFile path: String) throws(InputError) -> String {
    sha256(of: try MappedFile(opening: path))
}

/// The SHA-256 of a mapped file's bytes, as 64 lowercase hexadecimal digits.
///
/// - Complexity: O(bytes).
public func sha256(of file: MappedFile) -> String {
    file.withUnsafeBytes { sha256(of: $0) }
}

/// The SHA-256 of bytes in memory, as 64 lowercase hexadecimal digits.
public func sha256(of data: Data) -> String {
    hexadecimal(SHA256.hash(data: data))
}

/// The SHA-256 of bytes in memory, as 64 lowercase hexadecimal digits.
func sha256(of bytes: UnsafeRawBufferPointer) -> String {
    var hash = SHA256()
    hash.update(bufferPointer: bytes)
    return hexadecimal(hash.finalize())
}

private func hexadecimal(_ digest: SHA256Digest) -> String {
    let digits = Array("0123456789abcdef".utf8)
    let characters = digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return String(decoding: characters, as: UTF8.self)
}
