import Foundation
import Ranks
import Synchronization

/// Ranks that are threads of one process: a program for several ranks is tested without MPI.
public final class ThreadRanks: Communicator {
    /// Which rank this is.
    public let rank: Int
    private let room: Room
    private let exchanged = Mutex(Traffic())

    /// Runs a program on every rank at the same time.
    ///
    /// - Returns: [ranks]: what each came to.
    public static func run<Result: Sendable>(
        _ count: Int, _ program: @escaping @Sendable (ThreadRanks) -> Result
    ) -> [Result] {
        let room = Room(count)
        let results = Mutex([Result?](repeating: nil, count: count))
        let group = DispatchGroup()
        for rank in 0..<count {
            group.enter()
            // Threads of their own: ranks wait for each other, and a pool may have fewer.
            let thread = Thread {
                let result = program(ThreadRanks(rank: rank, room: room))
                results.withLock { $0[rank] = result }
                group.leave()
            }
            thread.stackSize = 8 << 20
            thread.start()
        }
        group.wait()
        return results.withLock { $0.map { $0! } }
    }

    private init(rank: Int, room: Room) {
        self.rank = rank
        self.room = room
    }

    /// How many there are.
    public var rankCount: Int { room.count }

    /// What this rank has exchanged.
    public var traffic: Traffic { exchanged.withLock { $0 } }

    /// Every rank's elements, one rank's after another's.
    public func gathered<Element: BitwiseCopyable & Sendable>(_ own: [Element]) -> [Element] {
        let all = room.meet(rank, bringing: own)
        let elements = all.flatMap { $0 as! [Element] }
        exchanged.withLock {
            $0.calls += 1
            $0.bytes += elements.count * MemoryLayout<Element>.stride
        }
        return elements
    }

    /// The sums over the ranks.
    public func sums(_ own: [Int]) -> [Int] { reduced(own, by: +) }

    /// The largest over the ranks.
    public func maxima(_ own: [UInt64]) -> [UInt64] { reduced(own, by: max) }

    private func reduced<Element: Sendable>(_ own: [Element], by combine: (Element, Element) -> Element) -> [Element] {
        let all = room.meet(rank, bringing: own).map { $0 as! [Element] }
        precondition(all.allSatisfy { $0.count == own.count }, "as many numbers on every rank")
        exchanged.withLock {
            $0.calls += 1
            $0.bytes += 2 * own.count * MemoryLayout<Element>.stride
        }
        return own.indices.map { index in all.dropFirst().reduce(all[0][index]) { combine($0, $1[index]) } }
    }

    /// Where ranks meet: nobody leaves before all have come.
    private final class Room: @unchecked Sendable {
        // Safe to share: everything is behind the condition.
        let count: Int
        private let condition = NSCondition()
        private var brought: [Int: any Sendable] = [:]
        private var taken: [any Sendable] = []
        private var round = 0

        init(_ count: Int) { self.count = count }

        func meet(_ rank: Int, bringing own: any Sendable) -> [any Sendable] {
            condition.lock()
            defer { condition.unlock() }
            let mine = round
            precondition(brought[rank] == nil, "a rank comes once a round")
            brought[rank] = own
            if brought.count == count {
                taken = (0..<count).map { brought[$0]! }
                brought = [:]
                round += 1
                condition.broadcast()
            } else {
                while round == mine { condition.wait() }
            }
            // Nobody can complete the next round before this rank is in it.
            return taken
        }
    }
}
