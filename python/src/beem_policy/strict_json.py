"""JSON in which nothing is overlooked: no name twice in one object, no NaN, no number that overflows."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


class JSONProblem(Exception):
    """Why a text was refused."""


def parse(text: bytes) -> Any:
    """The value that fills a UTF-8 text, a byte order mark and blanks apart.

    Raises `JSONProblem`, besides for what RFC 8259 refuses, for two members of one name (Python would keep the last),
    NaN and infinity (which Python would read), numbers too large for Double, and half a surrogate pair.
    """
    try:
        value = json.loads(
            text.decode("utf-8-sig"),
            object_pairs_hook=_members,
            parse_constant=_constant,
            parse_float=_finite,
        )
        _check_texts(value)
    except UnicodeError as error:
        raise JSONProblem(f"not UTF-8 text ({error.reason if hasattr(error, 'reason') else error})") from None
    except json.JSONDecodeError as error:
        raise JSONProblem(f"{error.msg}, line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise JSONProblem("values are nested too deeply") from None
    except ValueError as error:
        # Newer versions of Python refuse integers of more than some thousands of digits.
        raise JSONProblem(str(error)) from None
    return value


def type_name(value: object) -> str:
    """What a value is, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return f"the number {str(value)[:40]}"
    if isinstance(value, str):
        return f"the string '{value[:40]}'"
    return "an object" if isinstance(value, dict) else f"an array of {len(value)}" if isinstance(value, list) else "?"


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise JSONProblem(f"the name '{name[:40]}' stands twice in one object")
        members[name] = value
    return members


def _constant(text: str) -> NoReturn:
    raise JSONProblem(f"{text}, which is no number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise JSONProblem(f"{text[:40]}, which is too large for a number of 64 bits")
    return number


def _check_texts(value: Any) -> None:
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, list):
        for element in value:
            _check_texts(element)
    elif isinstance(value, dict):
        for name, member in value.items():
            name.encode("utf-8")
            _check_texts(member)
