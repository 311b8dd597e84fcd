"""How long training and calibrating would take on how many ranks: a simulation from measured constants.

usage: scaling.py [--samples 1e9] [--exits 24] [--width 768] [--classes 2] [--ranks 1 2 4 ... 256] [--threads 8] [--json FILE]

Every pass of L-BFGS over an exit's train rows is 64 chunks; a rank does its part of them on its threads, chunk by chunk, then
all ranks exchange 64 partial sums and each takes the step. A chunk's time is the measured time of a row times its rows,
times a factor drawn for it (processors and disks are not alike at all times); a pass lasts as long as its slowest rank. What is
exchanged takes the latency of a ring and the bytes over the bandwidth. Constants are options, so that others can put theirs in.
"""

import argparse
import json
import math
import random

CHUNKS = 64


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=float, default=1e9)
    parser.add_argument("--train", type=float, default=0.4, help="the share of the train split")
    parser.add_argument("--tune", type=float, default=0.2)
    parser.add_argument("--exits", type=int, default=24)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--bytes", type=int, default=2, help="of a feature: 2 for F16")
    parser.add_argument("--passes", type=int, default=60, help="of an exit: evaluations for all penalties")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64, 128, 256])
    parser.add_argument("--threads", type=int, default=8, help="of a rank")
    # Measured here; see Benchmarks/README.md.
    parser.add_argument("--row", type=float, default=0.22e-6, help="seconds of one thread for a row of a pass, from memory")
    parser.add_argument("--memory", type=float, default=10e9, help="bytes a second that a rank's threads together read")
    parser.add_argument("--step", type=float, default=2e-4, help="seconds of a step between two passes")
    parser.add_argument("--fold", type=float, default=1e-9, help="seconds to add a number of a partial sum")
    parser.add_argument("--event", type=float, default=120e-9, help="seconds to score a sample at an exit and sort")
    parser.add_argument("--spread", type=float, default=0.05, help="standard deviation of the logarithm of a chunk's time")
    # Of a network, not measured here.
    parser.add_argument("--disk", type=float, default=2e9, help="bytes a second that a rank reads when memory is too small")
    parser.add_argument("--room", type=float, default=100e9, help="bytes of a rank's memory for features")
    parser.add_argument("--latency", type=float, default=5e-6, help="seconds of a message")
    parser.add_argument("--bandwidth", type=float, default=3e9, help="bytes a second of a rank's link")
    parser.add_argument("--repeats", type=int, default=20, help="passes that are drawn")
    parser.add_argument("--json")
    return parser.parse_args()


def pass_seconds(options: argparse.Namespace, ranks: int, generator: random.Random) -> dict[str, float]:
    """A pass over the train rows of one exit, the mean of those drawn; and how much longer the first one takes."""
    rows = options.samples * options.train
    row_bytes = options.width * options.bytes
    parameters = options.classes * (options.width + 1) + 2
    owned = [(CHUNKS * (rank + 1)) // ranks - (CHUNKS * rank) // ranks for rank in range(ranks)]
    # Exits are trained one after another: the first pass reads from disk, the others what is still in memory.
    fits = rows * row_bytes / min(ranks, CHUNKS) <= options.room
    compute = 0.0
    for _ in range(options.repeats):
        slowest = 0.0
        for chunks in owned:
            threads = [0.0] * options.threads
            for _ in range(chunks):
                # The next chunk goes to the thread that is free first.
                first = threads.index(min(threads))
                threads[first] += rows / CHUNKS * options.row * math.exp(generator.gauss(0, options.spread))
            # Threads together read no faster than the memory, or the disk.
            rate = options.memory if fits else options.disk
            slowest = max(slowest, max(threads), chunks * rows / CHUNKS * row_bytes / rate)
        compute += slowest / options.repeats
    volume = CHUNKS * parameters * 8
    exchange = 0.0 if ranks == 1 else (ranks - 1) * options.latency + volume * (1 - 1 / ranks) / options.bandwidth
    return {
        "compute": compute,
        "exchange": exchange,
        "step": options.step + CHUNKS * parameters * options.fold,
        "exchangedBytes": 0 if ranks == 1 else volume,
        "readsFromDisk": not fits,
        "first": max(0.0, rows * row_bytes / min(ranks, CHUNKS) / options.disk - compute),
    }


def calibration_seconds(options: argparse.Namespace, ranks: int) -> float:
    """One pass of heads over what is not train, scores, sorting, and counts."""
    held_out = options.samples * (1 - options.train)
    forward = held_out * options.exits * options.width * options.bytes / ranks / options.disk
    events = options.samples * options.tune * options.exits * options.event / ranks / options.threads
    counts = 16 * 65_536 * (options.exits + 4) * 8 / options.bandwidth if ranks > 1 else 0.0
    return forward + events + counts


def main() -> None:
    options = parse()
    generator = random.Random(0)
    total = options.samples * options.exits * options.width * options.bytes
    print(
        f"{options.samples:,.0f} samples x {options.exits} exits x {options.width} features: {total / 1e12:.1f} TB; "
        f"{options.threads} threads a rank, {options.passes} passes an exit"
    )
    print("ranks  pass (s)  exchange (ms)  step (ms)  from disk  training (h)  calibrating (h)  speed-up  efficiency")
    results, alone = [], 0.0
    for ranks in options.ranks:
        one = pass_seconds(options, ranks, generator)
        seconds = one["compute"] + one["exchange"] + one["step"]
        training = (seconds * options.passes + one["first"]) * options.exits
        calibrating = calibration_seconds(options, ranks)
        alone = alone or (training + calibrating) * options.ranks[0]
        speed_up = alone / (training + calibrating)
        results.append({"ranks": ranks, **one, "training": training, "calibrating": calibrating, "speedUp": speed_up})
        print(
            f"{ranks:5}  {one['compute']:8.2f}  {1e3 * one['exchange']:13.2f}  {1e3 * one['step']:9.2f}  "
            f"{'yes' if one['readsFromDisk'] else 'no':>9}  {training / 3600:12.2f}  {calibrating / 3600:15.3f}  "
            f"{speed_up:8.1f}  {100 * speed_up / ranks:8.0f} %"
        )
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"options": vars(options), "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
