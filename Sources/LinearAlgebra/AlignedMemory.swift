/// Memory for kernels, at the start of a cache line. It is not filled first.
final class AlignedMemory: @unchecked Sendable {
    // Safe to share: whoever owns it sees to it that no two threads write the same part.
    let start: UnsafeMutableRawPointer

    init(byteCount: Int) { start = .allocate(byteCount: byteCount, alignment: 64) }

    deinit { start.deallocate() }
}
