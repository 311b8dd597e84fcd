#if canImport(Glibc)
    import Glibc
#endif

/// What becomes of memory that is given back.
enum FreedMemory {
    /// Keeps it for the next use, rather than returning it to the system, which clears every page of it before it hands it
    /// out again: training each exit needs the same few megabytes as the one before.
    static func keep() {
        #if canImport(Glibc)
            // The largest that glibc takes for blocks on their own.
            mallopt(M_MMAP_THRESHOLD, 32 << 20)
            mallopt(M_TRIM_THRESHOLD, 256 << 20)
        #endif
    }
}
