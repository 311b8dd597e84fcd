"""`beem-policy`: the package as a command.

`decide` is here. Modules of the package named in `OPTIONAL` add others, each with a function `add_command(subparsers)`:
it adds a parser, and says with `parser.set_defaults(run=function)` what is run, `function(options) -> int`, the exit
code. They are imported for every command, so what is slow to import belongs inside their functions. One that is not
there, or needs a package that is not installed, is left out; the help says what is missing.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from . import __version__, decision_table
from .errors import InputError
from .outputs import decide_file
from .policy import Policy
from .whole_file import write_text

OPTIONAL = ("extract", "timing", "export_onnx")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0: done, 2: bad input. Wrong usage ends with 2 too, as argparse has it."""
    options = parser().parse_args(arguments)
    # Warnings as lines of the command, not with the place in the code that gave them.
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", UserWarning)
    try:
        code: int = options.run(options)
        return code
    except InputError as error:
        print(f"beem-policy: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read our output has enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def parser() -> argparse.ArgumentParser:
    """The parser with all commands that can be loaded."""
    result = argparse.ArgumentParser(
        prog="beem-policy", description="Early-exit policies of beem where inference happens."
    )
    result.add_argument("--version", action="version", version=f"beem-policy {__version__}")
    subparsers = result.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_decide(subparsers)
    missing = []
    for name in OPTIONAL:
        module = f"{__package__}.{name}"
        try:
            loaded = importlib.import_module(module)
        except ImportError as error:
            if not (isinstance(error, ModuleNotFoundError) and error.name == module):
                missing.append(f"{name} is left out: {error}.")
            continue
        loaded.add_command(subparsers)
    result.epilog = " ".join(missing)
    return result


def _add_decide(subparsers: Any) -> None:
    command = subparsers.add_parser(
        "decide",
        help="decide for every sample of a file where it leaves, and with which label",
        description="Decide for every sample of a file where it leaves, and with which label, as `beem apply` does.",
    )
    command.add_argument("policy", metavar="POLICY", help="the policy, policy.json")
    command.add_argument(
        "outputs",
        metavar="OUTPUTS",
        help="what exits said: safetensors with logits.<i>, or label.<i> and confidence.<i>; or CSV or TSV with the "
        "columns label_<i> and confidence_<i>. For a policy with heads: safetensors with features.<i>",
    )
    command.add_argument("--output", metavar="FILE", help="write to this file instead of standard output")
    command.set_defaults(run=_decide)


def _decide(options: argparse.Namespace) -> int:
    decisions = decide_file(Policy.load(options.policy), options.outputs)
    text = decision_table.csv(decisions)
    if options.output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_text(options.output, text)
    return 0


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"beem-policy: warning: {message}", file=sys.stderr)
