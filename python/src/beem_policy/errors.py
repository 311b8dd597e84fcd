"""What is wrong with something a user gave: a file, or a value in it."""

from __future__ import annotations


class InputError(ValueError):
    """A file that cannot be used; the message is one line, `FILE: ITEM: SEEN; expected EXPECTED. ADVICE`.

    The parts are fields, as in the Swift library, so that a writer of an error cannot leave one out by accident.
    `kind` is for programs: `unreadable`, `unwritable`, `malformed`, `missing`, `out-of-range`, `not-finite`,
    `mismatch` or `unsupported`.
    """

    def __init__(
        self,
        kind: str,
        file: str,
        item: str | None = None,
        *,
        seen: str,
        expected: str,
        advice: str | None = None,
    ) -> None:
        self.kind = kind
        self.file = file
        self.item = item
        self.seen = seen
        self.expected = expected
        self.advice = advice
        place = f"{file}: {item}" if item else file
        super().__init__(f"{place}: {seen}; expected {expected}.{' ' + advice if advice else ''}")

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are pickled by their arguments, which are not those of the message; worker processes raise them
        # too.
        return (_restored, (self.kind, self.file, self.item, self.seen, self.expected, self.advice))


def _restored(kind: str, file: str, item: str | None, seen: str, expected: str, advice: str | None) -> InputError:
    return InputError(kind, file, item, seen=seen, expected=expected, advice=advice)


def unreadable(path: str, error: OSError, expected: str) -> InputError:
    """The error for a file that the system does not let us read."""
    return InputError(
        "unreadable",
        path,
        seen=f"cannot be read ({error.strerror or error})",
        expected=expected,
        advice="Check the path; a relative one starts at the current folder.",
    )
