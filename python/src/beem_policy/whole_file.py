"""Files that are written completely or not at all: whoever reads the path sees the old file or the whole new one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives the path of an empty file beside `path`, which takes its name at the end, or vanishes after an error.

    It is in the same folder, because only there is a rename atomic. Raises `InputError` where the system does not let
    the file be written.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
        _publish(temporary, target)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes UTF-8 with line ends as they are in `text`."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def unwritable(path: str | os.PathLike[str], error: OSError) -> InputError:
    """The error for a file that the system does not let us write."""
    return InputError(
        "unwritable",
        os.fspath(path),
        seen=f"cannot be written ({error.strerror or error})",
        expected="a folder that can be written to, with enough space",
        advice="What was there before is unchanged.",
    )


def _publish(temporary: Path, target: Path) -> None:
    with open(temporary, "r+b") as file:
        os.fsync(file.fileno())
    # Temporary files are for their owner alone; results are as readable as other files.
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(0o666 & ~mask)
    temporary.replace(target)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
