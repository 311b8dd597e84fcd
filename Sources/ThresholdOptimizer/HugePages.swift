#if canImport(Glibc)
    import Glibc
#endif

/// Asks for large pages behind a large buffer that is about to be filled: a request to the system, without effect on
/// what the buffer holds.
///
/// Filling hundreds of megabytes takes longer for the page faults than for the writing; where the system grants the
/// request they are 512 times fewer.
func adviseHugePages<Element>(_ buffer: UnsafeMutableBufferPointer<Element>) {
    #if canImport(Glibc)
        let size = 2 * 1024 * 1024
        let start = UInt(bitPattern: buffer.baseAddress)
        // Whole large pages only: the rest of a page may be somebody else's.
        let first = (start + UInt(size) - 1) / UInt(size) * UInt(size)
        let end = start + UInt(buffer.count * MemoryLayout<Element>.stride)
        guard first < end, let address = UnsafeMutableRawPointer(bitPattern: first) else { return }
        _ = madvise(address, Int(end - first) / size * size, MADV_HUGEPAGE)
    #endif
}
