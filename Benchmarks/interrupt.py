"""What a killed `beem train` leaves behind, and whether `--resume` ends where a run that nobody disturbed does.

usage: interrupt.py [--beem .build/release/beem] [--moments 20] [--interrupts 6] [--seed 0] [--epochs N] [--ranks R] RECIPE

Trains the recipe undisturbed, twice: both runs must write the same bytes. Then starts it in a fresh folder and ends it
with SIGKILL at a random moment of that duration, 20 times, and with SIGINT, 6 times. Each time

- SIGINT must end it with exit code 130, or by the signal itself while the output folder holds nothing yet; a run that
  was done already must have ended with 0;
- heads.safetensors and training.csv must be absent or whole, that is, equal to the undisturbed run's, and no other file
  but the checkpoint may stand under a final name; hidden temporary files are counted;
- `beem train RECIPE --output FOLDER --resume` must then write the same bytes as the undisturbed run, and leave the same
  files.

With --ranks the runs that are ended are jobs of so many ranks under mpirun: SIGKILL then goes to one of the ranks, drawn at
random, the job must end by itself and not with 0, and is resumed with 1, 2 or 4 ranks, in turn; SIGINT is left out. The
undisturbed run is still one process.

Prints a line for each moment; exit code 1 if anything failed. A checkpoint is written about every second, so the recipe
should train for some seconds: with --epochs it is trained by AdamW for so many epochs instead of as it says.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import tempfile
import time

import numpy as np

from safetensors_file import read_safetensors

RESULTS = ["heads.safetensors", "training.csv"]
CHECKPOINT = "training.checkpoint"
INTERRUPTED = 130


# As root, in a container, too.
ENVIRONMENT = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def train_command(beem: str, recipe: str, folder: str, *more: str, ranks: int = 0) -> list[str]:
    launcher = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks else []
    return launcher + [beem, "train", recipe, "--output", folder, "--quiet", *more]


def children(process: int) -> list[int]:
    """The processes that a process has started; none when it is gone."""
    try:
        with open(f"/proc/{process}/task/{process}/children") as file:
            return [int(number) for number in file.read().split()]
    except OSError:
        return []


def contents(folder: str) -> dict[str, bytes]:
    """The files of a folder by name; none when it does not exist."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    files = {}
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            files[name] = file.read()
    return files


def visible(files: dict[str, bytes]) -> list[str]:
    """The names that are not hidden."""
    return [name for name in files if not name.startswith(".")]


def train_undisturbed(beem: str, recipe: str, folder: str) -> tuple[dict[str, bytes], float]:
    """The files of a whole run, and how many seconds it took."""
    start = time.perf_counter()
    subprocess.run(train_command(beem, recipe, folder), check=True)
    seconds = time.perf_counter() - start
    files = contents(folder)
    for name in RESULTS:
        if name not in files:
            raise SystemExit(f"an undisturbed run wrote no {name}")
    heads = read_safetensors(os.path.join(folder, "heads.safetensors"))
    if not heads or not all(np.isfinite(values).all() for values in heads.values()):
        raise SystemExit("an undisturbed run wrote heads that are not finite")
    return files, seconds


def end_at(
    moment: float, signal_: signal.Signals, command: list[str], victim: random.Random | None = None
) -> tuple[int, str]:
    """Starts a command, signals it, or one of the processes it has started, at a moment; returns how it ended and what it
    said."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    time.sleep(max(0, start + moment - time.perf_counter()))
    if victim is None:
        # Nothing happens to a process that has ended.
        process.send_signal(signal_)
    else:
        # The launcher takes a moment to start the ranks.
        while not (ranks := children(process.pid)) and process.poll() is None:
            time.sleep(0.01)
        if ranks:
            try:
                os.kill(victim.choice(ranks), signal_)
            except ProcessLookupError:
                pass
    # A job that goes on without one of its ranks is a fault.
    _, errors = process.communicate(timeout=300)
    return process.returncode, errors


def ending_faults(code: int, signal_: signal.Signals, files: dict[str, bytes], ranks: int) -> list[str]:
    """What is wrong with how a run ended."""
    if code == 0:
        return [f"ended with 0 without {name}" for name in RESULTS if name not in files]
    if signal_ == signal.SIGKILL and code > 0 and ranks:
        return []
    if signal_ == signal.SIGINT:
        # Before the command can handle the signal.
        started = bool(files)
        fine = code == INTERRUPTED or (code == -signal_ and not started)
    else:
        fine = code == -signal_
    return [] if fine else [f"ended with {code}"]


def file_faults(files: dict[str, bytes], undisturbed: dict[str, bytes]) -> list[str]:
    """What is wrong with the files that an ended run left."""
    faults = []
    for name in visible(files):
        if name in RESULTS:
            if files[name] != undisturbed[name]:
                faults.append(f"{name} has {len(files[name])} of {len(undisturbed[name])} bytes, or others")
        elif name != CHECKPOINT:
            faults.append(f"{name} stands there")
    return faults


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "no message"


def resume_faults(beem: str, recipe: str, folder: str, undisturbed: dict[str, bytes], ranks: int) -> list[str]:
    """What is wrong with the files after a run with --resume."""
    command = train_command(beem, recipe, folder, "--resume", ranks=ranks)
    process = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    if process.returncode != 0:
        return [f"resuming ended with {process.returncode}: {last_line(process.stderr)}"]
    files = contents(folder)
    faults = [f"{name} differs after resuming" for name in RESULTS if files.get(name) != undisturbed[name]]
    if visible(files) != visible(undisturbed):
        faults.append(f"resuming left {', '.join(visible(files))} instead of {', '.join(visible(undisturbed))}")
    return faults


def described(code: int, files: dict[str, bytes]) -> str:
    """How a run ended and what it left, in words."""
    ending = "was done" if code == 0 else f"signal {-code}" if code < 0 else f"exit code {code}"
    hidden = len(files) - len(visible(files))
    left = visible(files) + ([f"{hidden} temporary"] if hidden else [])
    return f"{ending}; left {', '.join(left) or 'nothing'}"


def try_moment(
    options: argparse.Namespace,
    moment: float,
    signal_: signal.Signals,
    undisturbed: dict[str, bytes],
    victim: random.Random,
    resuming: int,
) -> tuple[list[str], dict[str, bytes], int]:
    """Ends a run at a moment, resumes it, prints a line, and returns the faults, what was left, and how it ended."""
    beem, recipe, ranks = options.beem, options.recipe, options.ranks
    with tempfile.TemporaryDirectory() as place:
        folder = os.path.join(place, "output")
        command = train_command(beem, recipe, folder, ranks=ranks)
        code, errors = end_at(moment, signal_, command, victim if ranks else None)
        files = contents(folder)
        faults = ending_faults(code, signal_, files, ranks) + file_faults(files, undisturbed)
        if code > 0 and code != INTERRUPTED and not ranks:
            faults.append(last_line(errors))
        start = time.perf_counter()
        faults += resume_faults(beem, recipe, folder, undisturbed, resuming if ranks else 0)
        seconds = time.perf_counter() - start
    verdict = f"FAILED: {'; '.join(faults)}" if faults else f"resumed to the same bytes in {seconds:.2f} s"
    if ranks and not faults:
        verdict += f" by {resuming} ranks"
    print(f"{signal_.name} at {moment:6.3f} s: {described(code, files)}; {verdict}", flush=True)
    return faults, files, code


def write_longer(recipe: str, epochs: int, target: str) -> None:
    """A copy of a recipe that is trained by AdamW for so many epochs."""
    with open(recipe) as file:
        text = file.read()
    path = re.search(r"^features:\s*(\S+)", text, re.MULTILINE).group(1)
    features = os.path.abspath(os.path.join(os.path.dirname(recipe), path))
    text = re.sub(r"(?m)^features:.*$", f"features: {features}", text)
    text = re.sub(r"(?m)^training:.*$", f"training: {{ optimizer: adamw, epochs: {epochs} }}", text)
    with open(target, "w") as file:
        file.write(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("--beem", default=".build/release/beem")
    parser.add_argument("--moments", type=int, default=20, help="how often to end a run with SIGKILL")
    parser.add_argument("--interrupts", type=int, default=6, help="how often to end a run with SIGINT")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="train by AdamW for so many epochs")
    parser.add_argument("--ranks", type=int, default=0, help="end one of so many ranks of a job")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if options.epochs:
            longer = os.path.join(place, "recipe.yaml")
            write_longer(options.recipe, options.epochs, longer)
            options.recipe = longer
        interrupt(options)


def interrupt(options: argparse.Namespace) -> None:
    """Trains, ends and resumes, and prints what came of it."""
    with tempfile.TemporaryDirectory() as place:
        # The first run also warms the disk cache up.
        first, _ = train_undisturbed(options.beem, options.recipe, os.path.join(place, "first"))
        undisturbed, seconds = train_undisturbed(options.beem, options.recipe, os.path.join(place, "second"))
    if any(first[name] != undisturbed[name] for name in RESULTS):
        raise SystemExit("two undisturbed runs wrote different bytes")
    sizes = ", ".join(f"{len(undisturbed[name]):,} bytes of {name}" for name in RESULTS)
    print(f"undisturbed: {seconds:.2f} s, {sizes}", flush=True)

    if options.ranks:
        with tempfile.TemporaryDirectory() as place:
            command = train_command(options.beem, options.recipe, os.path.join(place, "job"), ranks=options.ranks)
            start = time.perf_counter()
            subprocess.run(command, check=True, env=ENVIRONMENT)
            seconds = time.perf_counter() - start
            if any(contents(os.path.join(place, "job"))[name] != undisturbed[name] for name in RESULTS):
                raise SystemExit("a job writes other bytes than one process")
        print(f"{options.ranks} ranks: {seconds:.2f} s, the same bytes", flush=True)

    generator = random.Random(options.seed)
    signals = [signal.SIGKILL] * options.moments + [signal.SIGINT] * (0 if options.ranks else options.interrupts)
    tried = [
        try_moment(options, generator.uniform(0, seconds), signal_, undisturbed, generator, [1, 2, 4][index % 3])
        for index, signal_ in enumerate(signals)
    ]
    failed = sum(bool(faults) for faults, _, _ in tried)
    checkpoints = sum(CHECKPOINT in files for _, files, _ in tried)
    temporary = sum(len(files) - len(visible(files)) for _, files, _ in tried)
    done = sum(code == 0 for _, _, code in tried)
    print(
        f"{len(tried)} moments: {failed} failed; {checkpoints} runs left a checkpoint, {temporary} temporary files "
        f"were left, {done} runs were done before the signal"
    )
    if not any(CHECKPOINT in files and code not in (0, INTERRUPTED) for _, files, code in tried):
        print("no killed run left a checkpoint, so none was resumed from: take a recipe that trains for some seconds")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
