import Foundation

/// The threads that OpenBLAS starts when it is loaded, one for each further core.
enum OpenBLASThreads {
    /// Ends them. Call it when OpenBLAS was told to use the calling thread alone: it then needs none, and starts none again.
    ///
    /// Idle, they ask the system for work over and over for a while before they sleep, on the cores that our own threads want:
    /// measured on two cores, training took a third longer. Nothing happens where OpenBLAS has no threads, or those of OpenMP.
    static func end() {
        // What OpenBLAS calls itself when the process ends or forks.
        guard let shutdown = dlsym(nil, "blas_thread_shutdown_") else { return }
        _ = unsafeBitCast(shutdown, to: (@convention(c) () -> Int32).self)()
    }
}
