#if MPI
    import CMPI
    import Foundation
    import Ranks
    import Synchronization

    /// The ranks of an MPI job, `MPI_COMM_WORLD`.
    ///
    /// MPI's own errors end the job, as its default handler does; a rank that dies does so too.
    public final class MPICommunicator: Communicator {
        /// Which rank this is.
        public let rank: Int
        /// How many ranks there are.
        public let rankCount: Int
        private let exchanged = Mutex(Traffic())

        /// Joins the job, once in a process; nil where MPI's launcher did not start the process.
        ///
        /// - Parameter arguments: unused by current libraries, which read the launcher's environment.
        public static func joinedJob() -> MPICommunicator? {
            let environment = ProcessInfo.processInfo.environment
            // Without a launcher MPI would make a job of one: half a second, and nobody to talk to.
            let launchers = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"]
            guard launchers.contains(where: { environment[$0] != nil }) else { return nil }
            return MPICommunicator()
        }

        private init() {
            var provided: Int32 = 0
            // One call at a time, but not always from the same thread.
            let needed = beem_thread_serialized()
            MPI_Init_thread(nil, nil, needed, &provided)
            precondition(provided >= needed, "an MPI library that may be called from any thread")
            var (rank, count): (Int32, Int32) = (0, 0)
            MPI_Comm_rank(beem_comm_world(), &rank)
            MPI_Comm_size(beem_comm_world(), &count)
            self.rank = Int(rank)
            rankCount = Int(count)
        }

        /// Leaves the job, once all ranks are here.
        public func leave() { MPI_Finalize() }

        /// Ends all ranks at once; does not return.
        public func abort(exitCode: Int32) -> Never {
            MPI_Abort(beem_comm_world(), exitCode)
            exit(exitCode)
        }

        /// What this rank has exchanged.
        public var traffic: Traffic { exchanged.withLock { $0 } }

        private func count(_ bytes: Int) {
            exchanged.withLock {
                $0.calls += 1
                $0.bytes += bytes
            }
        }

        /// `MPI_Allgatherv`.
        public func gathered<Element: BitwiseCopyable & Sendable>(_ own: [Element]) -> [Element] {
            let size = MemoryLayout<Element>.stride
            // MPI counts in 32 bits: eight bytes are a unit where they can be.
            let unit = size % 8 == 0 ? 8 : 1
            let type = unit == 8 ? beem_uint64() : beem_byte()
            var units = Int32(exactly: own.count * size / unit) ?? -1
            precondition(units >= 0, "no more than 2^31 units at once")
            var counts = [Int32](repeating: 0, count: rankCount)
            MPI_Allgather(&units, 4, beem_byte(), &counts, 4, beem_byte(), beem_comm_world())
            var starts: [Int32] = []
            var total = 0
            for count in counts {
                precondition(count >= 0 && total <= Int32.max, "no more than 2^31 units at once")
                starts.append(Int32(total))
                total += Int(count)
            }
            count(4 * rankCount + total * unit)
            return [Element](unsafeUninitializedCapacity: total * unit / size) { buffer, count in
                own.withUnsafeBufferPointer {
                    _ = MPI_Allgatherv(
                        $0.baseAddress, units, type, buffer.baseAddress, counts, starts, type, beem_comm_world())
                }
                count = total * unit / size
            }
        }

        /// `MPI_Allreduce`, with `MPI_SUM`.
        public func sums(_ own: [Int]) -> [Int] {
            reduced(own.map(Int64.init), type: beem_int64(), by: beem_sum()).map(Int.init)
        }

        /// `MPI_Allreduce`, with `MPI_MAX`.
        public func maxima(_ own: [UInt64]) -> [UInt64] { reduced(own, type: beem_uint64(), by: beem_max()) }

        private func reduced<Element: BitwiseCopyable>(
            _ own: [Element], type: MPI_Datatype, by operation: MPI_Op
        ) -> [Element] {
            guard let some = own.first else { return [] }
            count(2 * own.count * MemoryLayout<Element>.stride)
            var result = [Element](repeating: some, count: own.count)
            // In pieces: MPI counts in 32 bits.
            let piece = 1 << 24
            for start in stride(from: 0, to: own.count, by: piece) {
                let length = min(piece, own.count - start)
                own.withUnsafeBufferPointer { own in
                    result.withUnsafeMutableBufferPointer { result in
                        _ = MPI_Allreduce(
                            own.baseAddress! + start, result.baseAddress! + start, Int32(length), type, operation,
                            beem_comm_world())
                    }
                }
            }
            return result
        }
    }
#endif
