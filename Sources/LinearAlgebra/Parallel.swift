import Dispatch
import Foundation
import Synchronization

/// Work on several threads whose result does not depend on how many there are.
///
/// Tasks are numbered; each writes only what belongs to its number, and whoever combines the results does so in the
/// order of the numbers.
public enum Parallel {
    /// As many threads as the process may use at once.
    public static var availableThreads: Int { ProcessInfo.processInfo.activeProcessorCount }

    /// Runs `task(0)` to `task(count - 1)`, at most `threads` at a time; tasks are started in order.
    public static func forEach(_ count: Int, threads: Int, _ task: @Sendable (Int) -> Void) {
        let workers = min(count, threads)
        guard workers > 1 else {
            for index in 0..<count { task(index) }
            return
        }
        let next = Atomic(0)
        DispatchQueue.concurrentPerform(iterations: workers) { _ in
            while true {
                let index = next.add(1, ordering: .relaxed).oldValue
                guard index < count else { return }
                task(index)
            }
        }
    }

    /// The results of `task(0)` to `task(count - 1)`, in order.
    public static func map<Result: Sendable>(
        _ count: Int, threads: Int, _ task: @Sendable (Int) -> Result
    ) -> [Result] {
        let results = Mutex([Result?](repeating: nil, count: count))
        forEach(count, threads: threads) { index in
            let result = task(index)
            results.withLock { $0[index] = result }
        }
        return results.withLock { $0.map { $0! } }
    }
}
