"""The members of an object in a JSON file, with errors that name the key and what was wrong with it."""

from __future__ import annotations

from typing import Any

from .errors import InputError
from .strict_json import type_name

REMADE = "Write the policy again with `beem run`; it is not made to be edited by hand."


class Fields:
    """An object of a file. Members that nobody asks for are ignored, as in Swift: newer tools may add some."""

    def __init__(self, value: object, file: str, path: str = "", whole: str = "a policy", advice: str = REMADE) -> None:
        self.file = file
        self.path = path
        self.whole = whole
        self.advice = advice
        if not isinstance(value, dict):
            raise InputError(
                "malformed", file, path or None, seen=type_name(value), expected="an object", advice=self.advice
            )
        self._members: dict[str, Any] = value

    def item(self, key: str) -> str:
        """A key with the way to it: `exits[0].cost`."""
        return f"{self.path}.{key}" if self.path else key

    def value(self, key: str) -> Any:
        """Any value but a missing one."""
        if key not in self._members:
            raise InputError(
                "missing", self.file, self.item(key), seen="no such key", expected=self.whole, advice=self.advice
            )
        return self._members[key]

    def malformed(self, key: str, expected: str) -> InputError:
        """The error for a value of another type or form."""
        seen = type_name(self._members.get(key))
        return InputError("malformed", self.file, self.item(key), seen=seen, expected=expected, advice=self.advice)

    def out_of_range(self, key: str, expected: str) -> InputError:
        """The error for a value outside what is allowed."""
        seen = type_name(self._members.get(key))
        return InputError("out-of-range", self.file, self.item(key), seen=seen, expected=expected, advice=self.advice)

    def text(self, key: str) -> str:
        """A string."""
        value = self.value(key)
        if not isinstance(value, str):
            raise self.malformed(key, "a string")
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """One of some strings."""
        value = self.value(key)
        if not isinstance(value, str) or value not in choices:
            raise self.malformed(key, f"one of {', '.join(choices)}")
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        return self._number(key, self.value(key))

    def integer(self, key: str, largest: int = 2**63 - 1) -> int:
        """A whole number, `3.0` among them."""
        value = self.value(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or not -(2**63) <= value <= largest:
            raise self.malformed(key, "a whole number")
        return value

    def boolean(self, key: str) -> bool:
        """true or false."""
        value = self.value(key)
        if not isinstance(value, bool):
            raise self.malformed(key, "true or false")
        return value

    def object(self, key: str) -> Fields:
        """An object."""
        return Fields(self.value(key), self.file, self.item(key), self.whole, self.advice)

    def objects(self, key: str) -> list[Fields]:
        """An array of objects."""
        return [
            Fields(value, self.file, f"{self.item(key)}[{i}]", self.whole, self.advice)
            for i, value in enumerate(self._array(key))
        ]

    def texts(self, key: str) -> tuple[str, ...]:
        """An array of strings."""
        values = self._array(key)
        for i, value in enumerate(values):
            if not isinstance(value, str):
                raise InputError(
                    "malformed",
                    self.file,
                    f"{self.item(key)}[{i}]",
                    seen=type_name(value),
                    expected="a string",
                    advice=self.advice,
                )
        return tuple(values)

    def optional_numbers(self, key: str) -> tuple[float, ...] | None:
        """An array of finite numbers; None where it is missing or null."""
        if self.is_missing(key):
            return None
        return tuple(self._number(key, value) for value in self._array(key))

    def is_missing(self, key: str) -> bool:
        """Whether a value is missing or null."""
        return self._members.get(key) is None

    def optional_text(self, key: str) -> str | None:
        """A string; None where it is missing or null."""
        return None if self.is_missing(key) else self.text(key)

    def optional_choice(self, key: str, choices: tuple[str, ...]) -> str | None:
        """One of some strings; None where it is missing or null."""
        return None if self.is_missing(key) else self.choice(key, choices)

    def optional_number(self, key: str) -> float | None:
        """A finite number; None where it is missing or null."""
        return None if self.is_missing(key) else self.number(key)

    def optional_integer(self, key: str) -> int | None:
        """A whole number; None where it is missing or null."""
        return None if self.is_missing(key) else self.integer(key)

    def optional_object(self, key: str) -> Fields | None:
        """An object; None where it is missing or null."""
        return None if self.is_missing(key) else self.object(key)

    def _number(self, key: str, value: Any) -> float:
        if type(value) not in (int, float):
            raise self.malformed(key, "a number")
        try:
            return float(value)
        except OverflowError:
            raise self.malformed(key, "a number of 64 bits") from None

    def _array(self, key: str) -> list[Any]:
        value = self.value(key)
        if not isinstance(value, list):
            raise self.malformed(key, "an array")
        return value
