"""What every script of this folder does around its work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

# The package of this checkout, whether or not it is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy import InputError
from captions import CaptionError


def run(work: Callable[[], None], threads: int | None = None) -> int:
    """Do the work of a script and return its exit code: 0, or 2 with a line on standard error for what is wrong with a file.

    - threads: of torch; None for work that does not need it.
    """
    if threads is not None:
        import torch
        from cpu import keep_memory

        torch.set_num_threads(threads)
        keep_memory()
    try:
        work()
    except (CaptionError, InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
